"""The settings of a running proxy: `restart` keeps them, `start` compares them, `diagnose` uses them."""

from __future__ import annotations

import json
import re

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import WINDOWS
from tests.operations.conftest import Desk
from tests.operations.observed import running_settings, state_file, status

CLEAN: dict[str, str | None] = {"LUMEN_GATEWAY_URL": None, "CLOUD_AI_URL": None}
QUESTION = {"model": "lumen-gateway", "messages": [{"role": "user", "content": "hello"}]}


def test_a_restart_keeps_options_and_environment(desk: Desk) -> None:
    """A restart from a shell without these settings keeps them; an option of the restart changes one."""
    desk.run(
        "start", "--unsupported", "ignore", "--gateway-url", desk.gateway.url, env=CLEAN | {"LUMEN_HISTORY": "last"}
    )
    done = desk.run("restart", "--drain-s", "7", env=CLEAN)
    answer = call(f"http://127.0.0.1:{desk.port}", "POST", "/v1/chat/completions", json=QUESTION)
    assert (done.exit_status, answer.status, len(desk.gateway.chats)) == (0, 200, 1)
    assert "changed: LUMEN_DRAIN_S: 30 is running, 7 was requested" in done.stderr
    found = running_settings(desk)
    assert found["LUMEN_UNSUPPORTED"] == ("ignore", "option")
    assert found["LUMEN_GATEWAY_URL"] == (desk.gateway.url, "option")
    assert found["LUMEN_HISTORY"] == ("last", "environment")
    assert found["LUMEN_DRAIN_S"] == ("7", "option")
    assert json.loads(desk.run("status", "--json").stdout)["gateway"] == desk.gateway.url


def test_a_restart_uses_the_variables_of_this_shell(desk: Desk) -> None:
    """A variable of this shell replaces one of the earlier shell, which is reported; an option stays."""
    desk.run("start", "--unsupported", "ignore", env={"LUMEN_HISTORY": "last"})
    done = desk.run("restart", env={"LUMEN_HISTORY": "fold", "LUMEN_UNSUPPORTED": "reject"})
    assert "changed: LUMEN_HISTORY: last is running, fold was requested" in done.stderr
    found = running_settings(desk)
    assert (found["LUMEN_HISTORY"][0], found["LUMEN_UNSUPPORTED"][0]) == ("fold", "ignore")


KEY = {"PROXY_API_KEY": "canary-of-the-proxy"}
BAD_BUNDLE: dict[str, str | None] = {"REQUESTS_CA_BUNDLE": "/missing.pem"}
SOCKS: dict[str, str | None] = {"ALL_PROXY": "socks5://127.0.0.1:1", "LUMEN_GATEWAY_URL": "http://gateway.invalid"}
CLOUD = ("--fallback", "cloud_ai", "--cloud-ai-url", "https://cloud.invalid/chat")
STARTED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "plain": ((), {}),
    "with-a-key": ((), KEY),
    "in-a-sandbox": (("--sandbox",), {}),
}
REFUSED: dict[str, list[tuple[tuple[str, ...], dict[str, str | None], int, str]]] = {
    "plain": [
        (("--drain-s", "soon"), {}, 64, "--drain-s"),
        (("--host", "0.0.0.0"), {}, 77, "PROXY_API_KEY"),  # noqa: S104 - to be refused
        (("--max-concurrency", "1000"), {}, 78, "LUMEN_MAX_CONCURRENCY"),
        (("--gateway-url", "https://gateway.invalid"), BAD_BUNDLE, 78, "REQUESTS_CA_BUNDLE"),
        (CLOUD, BAD_BUNDLE, 78, "REQUESTS_CA_BUNDLE"),
    ],
    "with-a-key": [
        ((), {}, 78, "PROXY_API_KEY"),
        (("--host", "192.0.2.1"), {**KEY}, 71, "192.0.2.1"),
    ],
    "in-a-sandbox": [
        (("--no-sandbox",), SOCKS, 78, "ALL_PROXY"),
    ],
}
"""How the proxy was started, and restarts: options, environment, exit status and a word of the error."""


@pytest.mark.parametrize("started", STARTED)
def test_a_refused_restart_stops_nothing(desk: Desk, started: str) -> None:
    """An invalid restart ends with one line and its status, and the running proxy continues."""
    options, env = STARTED[started]
    desk.run("start", *options, env=env)
    before = state_file(desk).read_text()
    for restart_options, environ, exit_status, named in REFUSED[started]:
        done = desk.run("restart", *restart_options, env=environ)
        assert done.exit_status == exit_status, done.stderr
        (line,) = done.stderr.splitlines()
        assert named in line
        assert done.stdout == ""
        assert state_file(desk).read_text() == before, f"{restart_options} changed something"
    shown = status(desk)
    assert (shown["condition"], shown["instance"]) == ("running", json.loads(before)["instance"])


def test_a_start_beside_other_settings_names_them(desk: Desk) -> None:
    """A start with other settings ends with 75 and names both values of each; secrets are not shown."""
    desk.run("start", env={"PROXY_API_KEY": "canary-one"})
    before = status(desk)
    done = desk.run("start", "--unsupported", "ignore", "--json", env={"PROXY_API_KEY": "canary-two"})
    assert done.exit_status == 75
    (line,) = done.stderr.splitlines()
    assert "LUMEN_UNSUPPORTED: reject is running, ignore was requested" in line
    assert "PROXY_API_KEY differs" in line
    assert line.endswith(f"set PROXY_API_KEY, then: lumen-proxy restart --port {desk.port} --unsupported ignore")
    assert "canary" not in done.stderr + done.stdout + state_file(desk).read_text()
    found = json.loads(done.stdout)
    assert (found["did"], len(found["differences"])) == ("refused", 2)
    assert desk.run("start", env={"PROXY_API_KEY": "canary-one"}).exit_status == 0
    assert status(desk)["instance"] == before["instance"]


def test_a_sandbox_is_a_setting(desk: Desk) -> None:
    """A plain start accepts a sandbox, `restart --no-sandbox` leaves it, and `start --sandbox` is then refused."""
    desk.run("start", "--sandbox")
    assert status(desk)["sandbox"] is True
    again = desk.run("start")
    assert (again.exit_status, again.stdout.rstrip().endswith("in sandbox mode")) == (0, True)
    assert desk.run("restart", "--no-sandbox").exit_status == 0
    shown = status(desk)
    assert (shown["sandbox"], shown["gateway"]) == (False, desk.gateway.url)
    refused = desk.run("start", "--sandbox")
    assert (refused.exit_status, "sandbox: off is running, on was requested" in refused.stderr) == (75, True)


@pytest.mark.skipif(WINDOWS, reason="permissions of POSIX")
def test_the_state_file_is_private(desk: Desk) -> None:
    """Only the owner can read the state file."""
    desk.run("start")
    assert state_file(desk).stat().st_mode & 0o777 == 0o600


def test_diagnose_uses_the_settings_of_the_running_proxy(desk: Desk) -> None:
    """A wrong address of the proxy is DOWN although this shell has the right one; the advised command fixes it."""
    wrong = f"{desk.cloud_ai.url}/api/chat"
    desk.run("start", env={"CLOUD_AI_URL": wrong, "LUMEN_FALLBACK": "cloud_ai"})
    found = desk.diagnose("--no-start")
    assert (found["cloud_ai"]["state"], found["cloud_ai"]["case"]) == ("down", "cloud-ai-404")
    (note,) = found["notes"]
    assert note.startswith(f"CLOUD_AI_URL: the running proxy uses {wrong}, this shell has {desk.cloud_ai.url}/chat")
    assert note.endswith(f"lumen-proxy restart --port {desk.port}")
    assert desk.run("dashboard", "--json").exit_status == 69
    assert desk.run("restart").exit_status == 0
    assert desk.diagnose("--no-start")["verdict"] == "ALL GREEN"


def test_config_shows_the_running_settings(desk: Desk) -> None:
    """`config --running` shows the settings of the proxy, not of this shell; 69 if none runs."""
    assert desk.run("config", "--running").exit_status == 69
    desk.run("start", "--history", "last", env={"PROXY_API_KEY": "canary-of-the-proxy"})
    text = desk.run("config", "--running", env={"LUMEN_HISTORY": "fold"}).stdout
    assert re.search(r"^LUMEN_HISTORY +last  \[option\]$", text, re.MULTILINE)
    assert re.search(r"^PROXY_API_KEY +\(secret\)  \[environment\]$", text, re.MULTILINE)


def test_a_sandbox_is_left_for_the_configured_gateway(desk: Desk) -> None:
    """`restart --no-sandbox` uses the configured gateway of the first start and names it."""
    desk.run("start", "--sandbox", "--gateway-url", desk.gateway.url)
    done = desk.run("restart", "--no-sandbox", env=CLEAN)
    assert f"the gateway is {desk.gateway.url}" in done.stderr
    assert (status(desk)["gateway"], running_settings(desk)["LUMEN_GATEWAY_URL"][1]) == (desk.gateway.url, "option")


def test_a_sandbox_does_not_hide_another_gateway(desk: Desk) -> None:
    """A start with another gateway than the sandbox ends with 75 and the command that uses it."""
    desk.run("start", "--sandbox")
    refused = desk.run("start", "--gateway-url", "http://127.0.0.1:10")
    assert refused.exit_status == 75
    assert "LUMEN_GATEWAY_URL: the embedded one of the sandbox is running, http://127.0.0.1:10" in refused.stderr
    command = f"lumen-proxy restart --port {desk.port} --no-sandbox --gateway-url http://127.0.0.1:10"
    assert refused.stderr.rstrip().endswith(command)
    assert status(desk)["sandbox"] is True


def test_network_variables_are_settings(desk: Desk) -> None:
    """`start` refuses another forward proxy (75), `diagnose` uses that of the running proxy, `restart` changes it."""
    proxied, direct = {"http_proxy": "http://127.0.0.1:9"}, {"http_proxy": None, "HTTP_PROXY": None}
    desk.run("start", "--gateway-url", "http://gateway.invalid", env=proxied)
    began = "http_proxy: http://127.0.0.1:9 is running, "
    refused = desk.run("start", "--gateway-url", "http://gateway.invalid", env=direct)
    assert (refused.exit_status, f"{began}(none) was requested" in refused.stderr) == (75, True)
    found = desk.diagnose("--no-start", env=direct)
    assert found["gateway"]["said"].startswith("proxy 127.0.0.1:9: ")
    assert any(note.startswith("http_proxy: the running proxy uses http://127.0.0.1:9") for note in found["notes"])
    done = desk.run("restart", env={"HTTP_PROXY": "http://127.0.0.1:19"})
    assert f"changed: {began}http://127.0.0.1:19 was requested" in done.stderr


def test_a_password_of_a_forward_proxy_is_not_shown(desk: Desk) -> None:
    """A password that is not UTF-8 does not prevent the start; state file and commands do not show it."""
    desk.run("start", env={"HTTPS_PROXY": "user:canary\udcff@127.0.0.1:1"})
    assert status(desk)["condition"] == "running"
    assert running_settings(desk)["https_proxy"] == ("***@127.0.0.1:1", "environment")
    assert "canary" not in state_file(desk).read_text()


def test_config_masks_the_query_of_an_address(desk: Desk) -> None:
    """`config` hides the query of an address, which may be a key, as text and as JSON."""
    for options in ((), ("--json",)):
        text = desk.run("config", *options, env={"CLOUD_AI_URL": "https://cloud.example/chat?key=canary"}).stdout
        assert "https://cloud.example/chat" in text
        assert "canary" not in text


def test_a_restart_without_an_instance_names_its_settings(desk: Desk) -> None:
    """After a stop a restart uses the settings of this shell and names the gateway."""
    desk.run("start")
    desk.run("stop")
    done = desk.run("restart")
    said = f"was not running; started with the settings of this shell; the gateway is {desk.gateway.url}\n"
    assert done.stdout.startswith(said)


def test_a_restart_in_the_sandbox_names_its_port(desk: Desk) -> None:
    """The advised command that leaves the sandbox has the port of the proxy."""
    port = ("--port", str(desk.port))
    desk.run("start", "--sandbox", *port)
    done = desk.run("restart", "--unsupported", "ignore", *port)
    assert f"to leave it: lumen-proxy restart --port {desk.port} --no-sandbox" in done.stderr
