"""What the commands say about the instance of a desk, for tests of several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lumen_conformance.http.client import call
from tests.operations.conftest import Desk


def status(desk: Desk, **env: str | None) -> dict[str, Any]:
    """What `status --json` says."""
    found: dict[str, Any] = json.loads(desk.run("status", "--json", env=env).stdout)
    return found


def health(desk: Desk) -> dict[str, Any]:
    """What /health says, for waits: a command would cost a start of Python at each look. Empty without an answer."""
    answer = call(f"http://127.0.0.1:{desk.port}", "GET", "/health")
    return dict(answer.json()) if answer.status == 200 else {}


def state_file(desk: Desk) -> Path:
    """The state file of the port."""
    return Path(str(desk.env["LUMEN_STATE_DIR"])) / f"proxy-{desk.port}.json"


def running_settings(desk: Desk) -> dict[str, tuple[object, str]]:
    """Variable → value and origin, as `config --running` gives them to programs."""
    listed = json.loads(desk.run("config", "--running", "--json").stdout)["settings"]
    return {row["variable"]: (row["value"], row["origin"]) for row in listed}
