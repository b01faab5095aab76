"""`diagnose`: what is asked, what is said, and each of the seven troubles staged for real."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import respond_with, silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.stages import virtual_environments
from tests.operations.conftest import Desk

OLD_PROXY_ERROR = {"error": {"message": "Invalid isoformat string: timestamp", "type": "internal_error", "code": 500}}


def test_all_green(desk: Desk) -> None:
    """A proxy that is down is started; then all is green, this Python's own environment too, without one chat call."""
    desk.venv = ()
    found = desk.diagnose()
    assert found["environment"]["said"] == sys.prefix
    assert found["verdict"] == "ALL GREEN"
    assert found["started"]["did"] == "started"
    facts = found["proxy"]["facts"]
    assert facts["pid"] == found["started"]["pid"]
    assert facts["instance"] == found["started"]["instance"]
    assert (facts["restarts"], facts["breaker"]) == (0, "closed")
    assert [call.method for call in desk.gateway.calls + desk.cloud_ai.calls] == ["GET"] * 4


def test_it_names_what_it_really_called(desk: Desk) -> None:
    """Each address with its status and time, in the words for people, too."""
    found = desk.diagnose("--no-start")
    calls = [(call["url"], call["status"]) for call in found["cloud_ai"]["calls"]]
    assert calls == [(f"{desk.cloud_ai.url}/chat", 405), (f"{desk.cloud_ai.url}/health", 200)]
    assert all(call["ms"] > 0 for call in found["cloud_ai"]["calls"])
    words = desk.run("diagnose", "--no-start").stdout
    assert f"GET {desk.cloud_ai.url}/chat -> 405, " in words
    assert "Summary" in words


def test_deep_makes_chat_calls(desk: Desk) -> None:
    """Persona and sources of real answers; each channel is asked once, the gateway once more by the proxy."""
    found = desk.diagnose("--deep")
    assert found["verdict"] == "ALL GREEN"
    assert found["gateway"]["facts"] == {"persona": "세나", "sources": ["cache"]}
    assert found["proxy"]["facts"]["sources"] == ["cache"]
    assert (len(desk.gateway.chats), len(desk.cloud_ai.chats)) == (2, 1)


def test_the_sandbox_needs_no_network(desk: Desk) -> None:
    """Started in its sandbox, the proxy's own channels are asked: green although the configured ones are dead."""
    desk.gateway.down()
    desk.cloud_ai.down()
    found = desk.diagnose("--sandbox", "--deep")
    assert found["verdict"] == "ALL GREEN"
    assert found["gateway"]["facts"]["sources"] == ["sandbox"]
    assert any("sandbox" in note for note in found["notes"])


def test_another_gateway_than_the_proxys_is_noted(desk: Desk) -> None:
    """The shell says one gateway, the running proxy was started with another."""
    desk.run("start")
    found = desk.diagnose(env={"CLOUD_AI_URL": "none", "LUMEN_GATEWAY_URL": f"{desk.cloud_ai.url}"})
    assert any(desk.gateway.url in note and desk.cloud_ai.url in note for note in found["notes"])


def test_a_channel_that_is_not_configured_is_neutral(desk: Desk) -> None:
    """CLOUD_AI_URL=none: neither good nor bad."""
    off: dict[str, str | None] = {"CLOUD_AI_URL": "none"}
    desk.run("start", env=off)
    found = desk.diagnose(env=off)
    assert found["verdict"] == "ALL GREEN"
    assert found["cloud_ai"]["state"] == "unset"


@pytest.mark.parametrize("how", ["dead", "silent"])
def test_three_channels_that_do_not_answer_share_one_deadline(desk: Desk, squat: Squatters, how: str) -> None:
    """Three refusals or three silences: each is really asked; all are told within one deadline, not one by one."""
    within_s = 4.0
    prompt = desk.run("diagnose", "--no-start")  # start and end of Python on this machine: nothing is waited for
    asked_before = (len(desk.gateway.calls), len(desk.cloud_ai.calls))
    if how == "dead":
        desk.gateway.down()
        desk.cloud_ai.down()
    else:
        desk.gateway.standing = desk.cloud_ai.standing = silent
        squat("silent", port=desk.port)
    done = desk.run("diagnose", "--no-start", "--within", f"{within_s:g}", env={"LUMEN_FALLBACK": "cloud_ai"})
    assert done.exit_status == 69
    assert "Verdict: DOWN: Local proxy, Cloud AI, Lumen Gateway" in done.stdout
    # Three silences one after another last 0.9 * within for each cloud channel and 0.68 for the proxy: 2.5 * within.
    assert done.elapsed_s - prompt.elapsed_s < 2 * within_s
    asked = (len(desk.gateway.calls), len(desk.cloud_ai.calls))
    if how == "silent":  # /chat and /health of each, before the deadline cuts
        assert [now - before for now, before in zip(asked, asked_before, strict=True)] == [2, 2]


@pytest.mark.parametrize("command", ["diagnose", "status", "dashboard", "watch", "stop"])
def test_port_0_names_no_instance(desk: Desk, command: str) -> None:
    """Nothing can be said of it, and nothing is started that nobody would find again: 64, with the remedy."""
    done = desk.run(command, "--sandbox" if command in {"diagnose", "dashboard"} else "--json", env={"PROXY_PORT": "0"})
    assert done.exit_status == 64
    assert "port 0 names no instance; say which with --port" in done.stderr
    assert not list((desk.folder / "state").glob("*"))


def test_a_start_that_is_refused_is_a_red_line(desk: Desk) -> None:
    """The log folder cannot be made: the reason is told, the next step is its own, and the other channels are asked."""
    (desk.folder / "file").touch()
    found = desk.diagnose(env={"LUMEN_LOG_DIR": str(desk.folder / "file" / "log")})
    assert found["verdict"] == "DOWN: Local proxy"
    assert f"cannot write in {desk.folder / 'file' / 'log'}" in found["proxy"]["said"]
    assert found["proxy"]["advice"] == "make it writable or set LUMEN_LOG_DIR"
    assert (found["started"]["did"], found["started"]["exit_status"]) == ("failed", 73)


# ---------------------------------------------------------------- the seven troubles


def test_local_proxy_connection_failure(desk: Desk) -> None:
    """Nothing runs: start it; and after that it is green."""
    found = desk.diagnose("--no-start")["proxy"]
    assert (found["state"], found["case"]) == ("down", "proxy-connection")
    command = found["advice"].removeprefix("lumen-proxy ").split()
    assert command == ["start", "--port", str(desk.port)]
    assert desk.run(*command).exit_status == 0
    assert desk.diagnose("--no-start")["proxy"]["state"] == "up"


def test_cloud_ai_404(desk: Desk) -> None:
    """The old address in /api/chat: the address that was called is shown, and the server is known to be well."""
    wrong = f"{desk.cloud_ai.url}/api/chat"
    found = desk.diagnose("--no-start", env={"CLOUD_AI_URL": wrong})["cloud_ai"]
    assert (found["state"], found["case"]) == ("down", "cloud-ai-404")
    assert found["calls"][0]["url"] == wrong
    assert "the server itself answers" in found["said"]
    assert "CLOUD_AI_URL" in found["advice"]


def test_gateway_time_out(desk: Desk) -> None:
    """The gateway accepts and is silent; the others are not held up by it."""
    desk.gateway.standing = silent
    found = desk.diagnose("--no-start", "--within", "2")
    assert (found["gateway"]["state"], found["gateway"]["case"]) == ("down", "gateway-timeout")
    assert found["cloud_ai"]["state"] == "up"
    assert "LUMEN_GATEWAY_URL" in found["gateway"]["advice"]


def healthy_but_stumbles(exchange: Exchange) -> None:
    """The old proxy: its health is fine, its chat stumbles over the gateway's timestamp."""
    if exchange.call.method == "GET":
        respond_with({"status": "healthy", "service": "local-llm-proxy"})(exchange)
    else:
        respond_with(OLD_PROXY_ERROR, 500)(exchange)


OLD_PROXIES = {
    "": respond_with(OLD_PROXY_ERROR, 500),
    "--deep": healthy_but_stumbles,
}


@pytest.mark.parametrize(("option", "says_it"), OLD_PROXIES.items(), ids=["everywhere", "in-chat"])
def test_proxy_timestamp_error(desk: Desk, option: str, says_it: Callable[[Exchange], None]) -> None:
    """An old proxy on the port answers 500 about a timestamp: stop it, start ours."""
    with ScriptedGateway(says_it) as old_proxy:
        words = ["--port", str(old_proxy.port), *filter(None, [option])]
        found = desk.diagnose(*words)["proxy"]
    assert (found["state"], found["case"]) == ("down", "proxy-timestamp")
    assert "stop the old proxy" in found["advice"]


DAMAGES = {"interpreter-missing": "venv-python-missing", "flask-missing": "flask-missing"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_environment(desk: Desk, tmp_path: Path, damage: str) -> None:
    """The missing Python and the missing Flask of an environment, with the command that mends it."""
    folder = virtual_environments.create_healthy(tmp_path / "venv")
    virtual_environments.DAMAGES[damage](folder)
    found = desk.diagnose("--no-start", "--venv", str(folder))["environment"]
    assert (found["state"], found["case"]) == ("down", DAMAGES[damage])
    assert str(folder) in found["advice"]
    assert found["see"] == f"lumen-proxy check --venv {folder}"
    assert ("-m venv" if "python" in DAMAGES[damage] else "pip install") in found["advice"]


def test_port_conflict(desk: Desk, squat: Squatters) -> None:
    """A stranger has the port: it is named, its PID shown, and left alone; nothing is started."""
    stranger = squat("banner", port=desk.port)
    found = desk.diagnose()
    assert (found["proxy"]["state"], found["proxy"]["case"]) == ("down", "port-conflict")
    assert f"(pid {stranger.pid})" in found["proxy"]["said"]
    assert "--port" in found["proxy"]["advice"]
    assert found["started"] is None
    assert stranger.answer() == stranger.banner


def test_a_bad_option_is_64(desk: Desk) -> None:
    """Usage errors are told apart from channels that are down."""
    assert desk.run("diagnose", "--within", "soon").exit_status == 64
