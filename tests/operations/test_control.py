"""start, stop and restart for programs: one JSON object each, and the same again when repeated."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.operations.conftest import Desk


def asked(desk: Desk, *words: str) -> dict[str, Any]:
    """What a command says with --json; its exit status is its word, too."""
    done = desk.run(*words, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit_status"] == done.exit_status
    return found


def test_each_outcome_is_told(desk: Desk) -> None:
    """started, already_running (the same instance), started anew by a restart, stopped, not_running."""
    first, again, anew = asked(desk, "start"), asked(desk, "start"), asked(desk, "restart")
    assert [one["did"] for one in (first, again, anew)] == ["started", "already_running", "started"]
    assert first["instance"] == again["instance"] != anew["instance"]
    assert first["url"] == f"http://127.0.0.1:{desk.port}"
    assert [asked(desk, "stop")["did"] for _ in range(2)] == ["stopped", "not_running"]


def test_many_starts_at_once_are_one_instance(desk: Desk) -> None:
    """One of them starts it, the others find it; all say 0."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: asked(desk, "start"), range(4)))
    assert sorted(one["did"] for one in found) == ["already_running"] * 3 + ["started"]
    assert len({one["instance"] for one in found}) == 1


def test_a_start_that_fails_tells_why(desk: Desk) -> None:
    """The words of the instance that did not come up are in the object."""
    found = asked(desk, "start", "--host", "192.0.2.1")
    assert (found["did"], found["exit_status"]) == ("failed", 77)
    assert "PROXY_API_KEY" in found["problems"][0]
