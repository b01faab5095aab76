"""start, stop and restart with --json: each prints one JSON object and can be repeated."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.operations.conftest import Desk


def run_json(desk: Desk, *command: str) -> dict[str, Any]:
    """The result of a command with --json, which contains the exit status."""
    done = desk.run(*command, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit_status"] == done.exit_status
    return found


def test_each_result_has_its_name(desk: Desk) -> None:
    """The results are started, already_running, started by a restart, stopped and not_running."""
    first, again, anew = run_json(desk, "start"), run_json(desk, "start"), run_json(desk, "restart")
    assert [one["did"] for one in (first, again, anew)] == ["started", "already_running", "started"]
    assert first["instance"] == again["instance"] != anew["instance"]
    assert first["url"] == f"http://127.0.0.1:{desk.port}"
    assert [run_json(desk, "stop")["did"] for _ in range(2)] == ["stopped", "not_running"]


def test_many_starts_at_once_are_one_instance(desk: Desk) -> None:
    """Of four starts at once one starts the instance and the others find it; all exit with 0."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run_json(desk, "start"), range(4)))
    assert sorted(one["did"] for one in found) == ["already_running"] * 3 + ["started"]
    assert len({one["instance"] for one in found}) == 1


def test_a_failed_start_has_its_reason(desk: Desk) -> None:
    """The JSON object contains the error of the instance that did not start."""
    found = run_json(desk, "start", "--host", "192.0.2.1")
    assert (found["did"], found["exit_status"]) == ("failed", 77)
    assert "PROXY_API_KEY" in found["problems"][0]
