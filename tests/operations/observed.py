"""What commands report about the instance of a desk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lumen_conformance.http.client import call
from tests.operations.conftest import Desk


def status(desk: Desk, **env: str | None) -> dict[str, Any]:
    """The result of `status --json`."""
    found: dict[str, Any] = json.loads(desk.run("status", "--json", env=env).stdout)
    return found


def health(desk: Desk) -> dict[str, Any]:
    """The body of /health, for waits: a command would start Python each time. Empty without a response."""
    answer = call(f"http://127.0.0.1:{desk.port}", "GET", "/health")
    return dict(answer.json()) if answer.status == 200 else {}


def state_file(desk: Desk) -> Path:
    """The state file of the port."""
    return Path(str(desk.env["LUMEN_STATE_DIR"])) / f"proxy-{desk.port}.json"


def running_settings(desk: Desk) -> dict[str, tuple[object, str]]:
    """Variable → value and origin, from `config --running --json`."""
    listed = json.loads(desk.run("config", "--running", "--json").stdout)["settings"]
    return {row["variable"]: (row["value"], row["origin"]) for row in listed}
