"""Whoever holds the port and is not ours: named, never given a key, never asked for a chat, never waited for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.gateway.replies import drip, respond_with, silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import Squatters
from tests.operations.conftest import Desk
from tests.operations.observed import state_file

KEY = {"PROXY_API_KEY": "canary-of-the-proxy"}
STRANGERS = {
    "speaks-json": {"status": "ok"},
    "plays-the-old-proxy": {"status": "healthy", "service": "local-llm-proxy"},
    "plays-ours": {"status": "ok", "service": "lumen-proxy", "instance": "0123456789abcdef"},
}
# The waits for a stranger that drips take 0.9 * (1/2 + 1/4) of the deadline (probes.py). The rest is for looking up the
# owner: 0.04 s on a quiet machine. With 6 s it may take 1.9 s; 1.3 s, as with 4 s, are too few at a load of 17.
DRIPPED_S = "6"
ASKING = {
    "diagnose": ("diagnose", "--deep", "--json"),
    "dashboard": ("dashboard", "--json"),
    "watch": ("watch", "0.1", "--json"),
}


@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_gets_no_key_and_no_question(desk: Desk, stranger: str, command: str) -> None:
    """Whatever it says of itself: only GET, and nothing of the key in any request."""
    with ScriptedGateway(respond_with(STRANGERS[stranger])) as squatter:
        asking = desk.background(*ASKING[command], "--port", str(squatter.port), env=KEY)
        desk.until_lines(asking, 1)
        asking.stop()
        asking.wait_exit(30)
        calls = squatter.calls
    found: dict[str, Any] = json.loads(asking.stdout.read_text("utf-8").splitlines()[0])
    assert found["channels"][0]["state"] == "down"
    assert {call.method for call in calls} == {"GET"}
    assert not [call for call in calls if KEY["PROXY_API_KEY"] in str(call)]


def test_our_own_proxy_gets_its_key(desk: Desk) -> None:
    """Where the key is needed, to the instance that holds the lock: its metrics are read, its chat answers."""
    desk.run("start", env=KEY)
    found = desk.diagnose("--deep", env=KEY)
    assert found["verdict"] == "ALL GREEN"
    assert found["proxy"]["facts"]["breaker"] == "closed"


def test_a_missing_key_is_the_advice(desk: Desk) -> None:
    """The proxy wants a key that this shell does not have: say so, instead of looking for a red channel."""
    desk.run("start", env=KEY)
    found = desk.diagnose("--deep")["proxy"]
    assert "invalid_api_key" in found["said"]
    assert "set PROXY_API_KEY" in found["advice"]


def test_another_lumen_proxy_is_known_as_one(desk: Desk, tmp_path: Path) -> None:
    """Under another LUMEN_STATE_DIR: 75, recognized, advised to ask it where it runs; a stop refuses it (75)."""
    elsewhere: dict[str, str | None] = {"LUMEN_STATE_DIR": str(tmp_path / "elsewhere")}
    desk.run("start", env=elsewhere)
    status = desk.run("status", "--json")
    assert (status.exit_status, json.loads(status.stdout)["condition"]) == (75, "another")
    found = desk.diagnose()["proxy"]
    assert "another lumen-proxy" in found["said"]
    assert "LUMEN_STATE_DIR" in found["advice"]
    assert f"--port {desk.port + 1}" in found["advice"]
    assert "stop the program" not in found["advice"]
    stop = desk.run("stop", "--json")
    assert (stop.exit_status, json.loads(stop.stdout)["did"]) == (75, "refused")
    assert "another lumen-proxy" in stop.stderr
    assert desk.diagnose(env=elsewhere)["proxy"]["state"] == "up"
    assert desk.run("stop", env=elsewhere).exit_status == 0


def test_advice_leads_to_another_port(desk: Desk, squat: Squatters) -> None:
    """The port next to the one that is taken, in JSON and in words, for the next step and for the look after it."""
    squat("banner", port=desk.port)
    found = desk.diagnose("--no-start")["proxy"]
    assert found["advice"].endswith(f"lumen-proxy start --port {desk.port + 1}")
    assert found["see"] == f"lumen-proxy status --port {desk.port + 1}"
    words = desk.run("diagnose", "--no-start").stdout
    assert f"then: {found['see']}" in words
    assert found["advice"] in words


def test_a_stranger_that_drips_is_still_named(desk: Desk) -> None:
    """One byte a moment is no answer: at the deadline the call and the owner are told, as far as they were seen."""
    with ScriptedGateway(drip(0.1, b"x" * 5000)) as squatter:
        words = desk.run("status", "--port", str(squatter.port))
        found = desk.diagnose("--no-start", "--within", DRIPPED_S, "--port", str(squatter.port))["proxy"]
    assert words.elapsed_s < 20, "500 s of dripping are not waited for"
    assert found["case"] == "port-conflict"
    assert found["calls"][0]["url"] == f"http://127.0.0.1:{squatter.port}/health"
    assert found["calls"][0]["trouble"] == "timeout"
    assert found["facts"]["owner"]


def test_a_chat_beyond_the_deadline_is_told(desk: Desk) -> None:
    """Asked, not answered in time: the line has its calls, its PIDs and what was waited for."""
    desk.run("start")
    desk.gateway.standing = silent
    found = desk.diagnose("--no-start", "--deep", "--within", "2")["proxy"]
    assert [call["url"].rpartition("/")[2] for call in found["calls"]] == ["health", "ready", "metrics", "completions"]
    assert found["calls"][-1]["trouble"] == "timeout"
    assert found["facts"]["pid"]
    assert "--within" in found["advice"]


LOCKS = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_who_just_locks_the_file_is_not_signalled(desk: Desk) -> None:
    """Another program of this user holds the lock: the commands name it (75), and ps has no row of it."""
    lock = state_file(desk).with_suffix(".lock")
    lock.parent.mkdir(parents=True)
    command = [sys.executable, "-c", LOCKS, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        for word in ("stop", "restart", "start", "status"):
            done = desk.run(word)
            assert done.exit_status == 75, word
            assert f"(pid {stranger.pid}), which is not a lumen-proxy" in done.stdout + done.stderr
        assert desk.run("ps", "--json").stdout == "[]\n"
        assert stranger.poll() is None
        stranger.kill()
