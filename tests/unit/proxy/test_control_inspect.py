"""The inspection of a port names its owner while it waits for an answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.control import health_request, instances
from lumen_proxy.supervisor import port_owner
from tests.fixtures.blackholes import NEEDS_LINUX, open_black_hole

SOON_S = 10.0  # the event is set within milliseconds


@NEEDS_LINUX
def test_the_owner_is_found_while_nothing_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The look-up of the owner does not wait for /health: together they must end before the deadline of `diagnose`."""
    found, waited = threading.Event(), []

    def describe(*_: object) -> str:
        found.set()
        return "its owner"

    def get(*_: object) -> dict[str, object]:
        waited.append(found.wait(SOON_S))
        return {}

    monkeypatch.setattr(port_owner, "describe", describe)
    monkeypatch.setattr(health_request, "get", get)
    with open_black_hole("127.0.0.1") as port:
        folders = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        status = instances.inspect(config.load(folders, {"port": str(port)}))
    assert (status.condition, status.owner) == ("stranger", "its owner")
    assert waited == [True]
