"""`diagnose`: its probes, its report, and each of the seven known issues with real processes."""

from __future__ import annotations

import sys
import threading
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
    """A proxy that is down is started; then all channels and the environment are up, without a chat request."""
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


def test_each_request_is_in_the_report(desk: Desk) -> None:
    """The report has the address, the status and the time of each request, in JSON and as text."""
    found = desk.diagnose("--no-start")
    calls = [(call["url"], call["status"]) for call in found["cloud_ai"]["calls"]]
    assert calls == [(f"{desk.cloud_ai.url}/chat", 405), (f"{desk.cloud_ai.url}/health", 200)]
    assert all(call["ms"] > 0 for call in found["cloud_ai"]["calls"])
    text = desk.run("diagnose", "--no-start").stdout
    assert f"GET {desk.cloud_ai.url}/chat -> 405, " in text
    assert "Summary" in text


def test_deep_sends_chat_requests(desk: Desk) -> None:
    """With --deep each channel gets one chat request, the gateway a second one through the proxy."""
    found = desk.diagnose("--deep")
    assert found["verdict"] == "ALL GREEN"
    assert found["gateway"]["facts"] == {"persona": "세나", "sources": ["cache"]}
    assert found["proxy"]["facts"]["sources"] == ["cache"]
    assert (len(desk.gateway.chats), len(desk.cloud_ai.chats)) == (2, 1)


def test_the_sandbox_needs_no_network(desk: Desk) -> None:
    """In sandbox mode the embedded channels are probed: all are up although the configured ones are down."""
    desk.gateway.down()
    desk.cloud_ai.down()
    found = desk.diagnose("--sandbox", "--deep")
    assert found["verdict"] == "ALL GREEN"
    assert found["gateway"]["facts"]["sources"] == ["sandbox"]
    assert any("sandbox" in note for note in found["notes"])


def test_another_gateway_than_the_proxys_is_noted(desk: Desk) -> None:
    """There is a note if the running proxy uses another gateway than this shell."""
    desk.run("start")
    found = desk.diagnose(env={"CLOUD_AI_URL": "none", "LUMEN_GATEWAY_URL": f"{desk.cloud_ai.url}"})
    assert any(desk.gateway.url in note and desk.cloud_ai.url in note for note in found["notes"])


def test_a_channel_that_is_not_configured_does_not_count(desk: Desk) -> None:
    """With CLOUD_AI_URL=none the channel is `unset` and the verdict is ALL GREEN."""
    off: dict[str, str | None] = {"CLOUD_AI_URL": "none"}
    desk.run("start", env=off)
    found = desk.diagnose(env=off)
    assert found["verdict"] == "ALL GREEN"
    assert found["cloud_ai"]["state"] == "unset"


@pytest.mark.parametrize("how", ["dead", "silent"])
def test_three_channels_that_do_not_answer(desk: Desk, squat: Squatters, how: str) -> None:
    """Three channels that refuse or do not answer are down; each cloud channel gets two requests."""
    if how == "dead":
        desk.gateway.down()
        desk.cloud_ai.down()
    else:
        desk.gateway.standing = desk.cloud_ai.standing = silent
        squat("silent", port=desk.port)
    done = desk.run("diagnose", "--no-start", "--within", "4", env={"LUMEN_FALLBACK": "cloud_ai"})
    assert done.exit_status == 69
    assert "Verdict: DOWN: Local proxy, Cloud AI, Lumen Gateway" in done.stdout
    if how == "silent":  # /chat and /health of each, before the deadline cuts
        assert (len(desk.gateway.calls), len(desk.cloud_ai.calls)) == (2, 2)


def test_three_channels_are_probed_at_once(desk: Desk) -> None:
    """No channel answers before all requests have arrived: a probe that waited for another one would be cut."""
    arrived: list[Exchange] = []
    gate = threading.Event()

    def together(exchange: Exchange) -> None:
        arrived.append(exchange)
        if len(arrived) == 5:  # /chat and /health of each cloud channel, /health of the proxy
            gate.set()
        if exchange.hold(gate):
            respond_with({"status": "healthy"}, 405 if exchange.call.path == "/chat" else 200)(exchange)

    desk.gateway.standing = desk.cloud_ai.standing = together
    with ScriptedGateway(together) as proxy:
        # The proxy has half of the time: 10 s, while requests that are sent at once arrive within milliseconds.
        found = desk.diagnose("--no-start", "--within", "20", "--port", str(proxy.port))
    assert (found["cloud_ai"]["state"], found["gateway"]["state"]) == ("up", "up")
    assert [call["status"] for call in found["proxy"]["calls"]] == [200]


@pytest.mark.parametrize("command", ["diagnose", "status", "dashboard", "watch", "stop"])
def test_port_0_names_no_instance(desk: Desk, command: str) -> None:
    """A command about port 0 ends with 64 and starts nothing."""
    done = desk.run(command, "--sandbox" if command in {"diagnose", "dashboard"} else "--json", env={"PROXY_PORT": "0"})
    assert done.exit_status == 64
    assert "port 0 is invalid here" in done.stderr
    assert not list((desk.folder / "state").glob("*"))


def test_a_refused_start_is_down(desk: Desk) -> None:
    """If the proxy cannot start, the report has the reason and its remedy, and the other channels are probed."""
    (desk.folder / "file").touch()
    found = desk.diagnose(env={"LUMEN_LOG_DIR": str(desk.folder / "file" / "log")})
    assert found["verdict"] == "DOWN: Local proxy"
    assert f"cannot write in {desk.folder / 'file' / 'log'}" in found["proxy"]["said"]
    assert found["proxy"]["advice"] == "make it writable or set LUMEN_LOG_DIR"
    assert (found["started"]["did"], found["started"]["exit_status"]) == ("failed", 73)


# ---------------------------------------------------------------- the seven known issues


def test_local_proxy_connection_failure(desk: Desk) -> None:
    """If no proxy runs, the advice is a start, after which the proxy is up."""
    found = desk.diagnose("--no-start")["proxy"]
    assert (found["state"], found["case"]) == ("down", "proxy-connection")
    command = found["advice"].removeprefix("lumen-proxy ").split()
    assert command == ["start", "--port", str(desk.port)]
    assert desk.run(*command).exit_status == 0
    assert desk.diagnose("--no-start")["proxy"]["state"] == "up"


def test_cloud_ai_404(desk: Desk) -> None:
    """For the old address in /api/chat the report has the called address and respond_with that the server responds."""
    wrong = f"{desk.cloud_ai.url}/api/chat"
    found = desk.diagnose("--no-start", env={"CLOUD_AI_URL": wrong})["cloud_ai"]
    assert (found["state"], found["case"]) == ("down", "cloud-ai-404")
    assert found["calls"][0]["url"] == wrong
    assert "the server itself answers" in found["said"]
    assert "CLOUD_AI_URL" in found["advice"]


def test_gateway_time_out(desk: Desk) -> None:
    """A gateway that accepts and does not respond is a time-out and does not delay the other channels."""
    desk.gateway.standing = silent
    found = desk.diagnose("--no-start", "--within", "2")
    assert (found["gateway"]["state"], found["gateway"]["case"]) == ("down", "gateway-timeout")
    assert found["cloud_ai"]["state"] == "up"
    assert "LUMEN_GATEWAY_URL" in found["gateway"]["advice"]


def healthy_until_chat(exchange: Exchange) -> None:
    """Answer as an old proxy whose /health works and whose chat fails on the timestamp of the gateway."""
    if exchange.call.method == "GET":
        respond_with({"status": "healthy", "service": "local-llm-proxy"})(exchange)
    else:
        respond_with(OLD_PROXY_ERROR, 500)(exchange)


OLD_PROXIES = {
    "": respond_with(OLD_PROXY_ERROR, 500),
    "--deep": healthy_until_chat,
}


@pytest.mark.parametrize(("option", "reply"), OLD_PROXIES.items(), ids=["everywhere", "in-chat"])
def test_proxy_timestamp_error(desk: Desk, option: str, reply: Callable[[Exchange], None]) -> None:
    """For an old proxy on the port the advice is to stop it."""
    with ScriptedGateway(reply) as old_proxy:
        options = ["--port", str(old_proxy.port), *filter(None, [option])]
        found = desk.diagnose(*options)["proxy"]
    assert (found["state"], found["case"]) == ("down", "proxy-timestamp")
    assert "stop the old proxy" in found["advice"]


DAMAGES = {"interpreter-missing": "venv-python-missing", "flask-missing": "flask-missing"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_environment(desk: Desk, tmp_path: Path, damage: str) -> None:
    """For a missing Python or Flask in an environment the advice is the command that repairs it."""
    folder = virtual_environments.create_healthy(tmp_path / "venv")
    virtual_environments.DAMAGES[damage](folder)
    found = desk.diagnose("--no-start", "--venv", str(folder))["environment"]
    assert (found["state"], found["case"]) == ("down", DAMAGES[damage])
    assert str(folder) in found["advice"]
    assert found["see"] == f"lumen-proxy check --venv {folder}"
    assert ("-m venv" if "python" in DAMAGES[damage] else "pip install") in found["advice"]


def test_port_conflict(desk: Desk, squat: Squatters) -> None:
    """Another program on the port is named with its PID; it is not ended, and nothing is started."""
    stranger = squat("banner", port=desk.port)
    found = desk.diagnose()
    assert (found["proxy"]["state"], found["proxy"]["case"]) == ("down", "port-conflict")
    assert f"(pid {stranger.pid})" in found["proxy"]["said"]
    assert "--port" in found["proxy"]["advice"]
    assert found["started"] is None
    assert stranger.answer() == stranger.banner


def test_a_bad_option_is_64(desk: Desk) -> None:
    """An invalid option ends with 64, not with the status of a channel that is down."""
    assert desk.run("diagnose", "--within", "soon").exit_status == 64
