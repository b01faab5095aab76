"""Another program on the port is named; it gets no key and no chat request, and no command waits for it."""

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
# The waits for a program that sends slowly take 0.9 * (1/2 + 1/4) of the deadline (probes.py). The rest is for finding
# the owner: 0.04 s on a quiet machine. With 6 s it may take 1.9 s; 1.3 s, as with 4 s, are too few at a load of 17.
DRIPPED_S = "6"
COMMANDS = {
    "diagnose": ("diagnose", "--deep", "--json"),
    "dashboard": ("dashboard", "--json"),
    "watch": ("watch", "0.1", "--json"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_gets_no_key_and_no_question(desk: Desk, stranger: str, command: str) -> None:
    """Whatever the program claims, it gets GET requests only, and none of them contains the key."""
    with ScriptedGateway(respond_with(STRANGERS[stranger])) as squatter:
        child = desk.background(*COMMANDS[command], "--port", str(squatter.port), env=KEY)
        desk.until_lines(child, 1)
        child.stop()
        child.wait_exit(30)
        calls = squatter.calls
    found: dict[str, Any] = json.loads(child.stdout.read_text("utf-8").splitlines()[0])
    assert found["channels"][0]["state"] == "down"
    assert {call.method for call in calls} == {"GET"}
    assert not [call for call in calls if KEY["PROXY_API_KEY"] in str(call)]


def test_our_own_proxy_gets_its_key(desk: Desk) -> None:
    """The instance that holds the lock gets the key for its metrics and for a chat."""
    desk.run("start", env=KEY)
    found = desk.diagnose("--deep", env=KEY)
    assert found["verdict"] == "ALL GREEN"
    assert found["proxy"]["facts"]["breaker"] == "closed"


def test_a_missing_key_is_the_advice(desk: Desk) -> None:
    """If the proxy requires a key that this shell lacks, the advice is to set it."""
    desk.run("start", env=KEY)
    found = desk.diagnose("--deep")["proxy"]
    assert "invalid_api_key" in found["said"]
    assert "set PROXY_API_KEY" in found["advice"]


def test_another_lumen_proxy_is_recognized(desk: Desk, tmp_path: Path) -> None:
    """A lumen-proxy with another LUMEN_STATE_DIR is recognized (75), and `stop` does not end it (75)."""
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
    """The advice names the next port, for the start and for the check after it, in JSON and as text."""
    squat("banner", port=desk.port)
    found = desk.diagnose("--no-start")["proxy"]
    assert found["advice"].endswith(f"lumen-proxy start --port {desk.port + 1}")
    assert found["see"] == f"lumen-proxy status --port {desk.port + 1}"
    text = desk.run("diagnose", "--no-start").stdout
    assert f"then: {found['see']}" in text
    assert found["advice"] in text


def test_a_stranger_that_sends_slowly_is_named(desk: Desk) -> None:
    """A program that sends one byte at a time is reported at the deadline, with the request and its owner."""
    with ScriptedGateway(drip(0.1, b"x" * 5000)) as squatter:
        shown = desk.run("status", "--port", str(squatter.port))
        found = desk.diagnose("--no-start", "--within", DRIPPED_S, "--port", str(squatter.port))["proxy"]
    assert shown.elapsed_s < 20, "the whole response would take 500 s"
    assert found["case"] == "port-conflict"
    assert found["calls"][0]["url"] == f"http://127.0.0.1:{squatter.port}/health"
    assert found["calls"][0]["trouble"] == "timeout"
    assert found["facts"]["owner"]


def test_a_chat_without_a_response_is_reported(desk: Desk) -> None:
    """If a chat request gets no response in time, the report has all requests and the advice."""
    desk.run("start")
    desk.gateway.standing = silent
    found = desk.diagnose("--no-start", "--deep", "--within", "2")["proxy"]
    assert [call["url"].rpartition("/")[2] for call in found["calls"]] == ["health", "ready", "metrics", "completions"]
    assert found["calls"][-1]["trouble"] == "timeout"
    assert found["facts"]["pid"]
    assert "--within" in found["advice"]


LOCKS = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_another_program_with_the_lock_is_not_signalled(desk: Desk) -> None:
    """If another program holds the lock, commands name it (75) and `ps` does not list it."""
    lock = state_file(desk).with_suffix(".lock")
    lock.parent.mkdir(parents=True)
    command = [sys.executable, "-c", LOCKS, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        for name in ("stop", "restart", "start", "status"):
            done = desk.run(name)
            assert done.exit_status == 75, name
            assert f"(pid {stranger.pid}), which is not a lumen-proxy" in done.stdout + done.stderr
        assert desk.run("ps", "--json").stdout == "[]\n"
        assert stranger.poll() is None
        stranger.kill()
