"""The environment of a foreign server: that of the caller, without a guard, and with masked secrets."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lumen_conformance.inject.lumen_guard import FOREIGN
from lumen_conformance.isolation import INJECT
from lumen_conformance.registry.redaction import MASK
from lumen_conformance.run import TAG, Run
from lumen_conformance.stages.evidence import lock_timeout_s
from lumen_conformance.targets import environment
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from tests.fixtures.nested_pytest import read_page
from tests.fixtures.suite_subprocess import SuiteRun as Ended
from tests.fixtures.suite_subprocess import run as judged

SERVER = Path(__file__).with_name("plain_server.py")
WORD, BASE = "--proxy-env=UPSTREAM_WORD=xyzzy-plugh", "--proxy-env=BASE={gateway_url}/v1"
CONFIGURATION = '--proxy-env=UPSTREAM_WORD={"url":"{gateway_url}","pw":"xyzzy-plugh"}'
ONE = ("tests/contract/test_a_process.py",)
CALLER = {
    "HOME": "/home/somebody", "PROXY_SETTING": "theirs", "LUMEN_SETTING": "theirs", "SLACK_TOKEN": "xyzzy-plugh",
    "https_proxy": "http://proxy.example:3128", "HTTP_PROXY": "x", "NO_PROXY": "a", "E2E_LUMEN_GUARD": "/g",
    "PYTEST_VERSION": "9", "PYTHONPATH": os.pathsep.join([str(INJECT), "lib"]),
}  # fmt: skip


def foreign(mode: str = "", *variables: tuple[str, str]) -> Target:
    """The plain server as a foreign target."""
    command = (sys.executable, str(SERVER), "{port}", mode)
    return Target(command=command, can=frozenset({"health", "launch"}), variables=variables, foreign=True)


def test_environment_of_a_foreign_server(run: Run, tmp_path: Path) -> None:
    """It has the variables of the caller without proxy servers, the documented variables, and no other."""
    target = foreign("", ("BASE", "{gateway_url}/v1"), ("https_proxy", "again"))
    with Launcher(replace(run, caller=CALLER), target, tmp_path) as launches:
        proxy = launches(gateway="http://127.0.0.1:9")
        found = {name: str(value) for name, value in proxy.health().body["environ"].items() if name != "LC_CTYPE"}
    kept = {name: CALLER[name] for name in ("HOME", "PROXY_SETTING", "LUMEN_SETTING", "SLACK_TOKEN", "NO_PROXY")}
    documented = {
        "PROXY_HOST": "127.0.0.1", "PROXY_PORT": str(proxy.port), "LUMEN_GATEWAY_URL": "http://127.0.0.1:9",
        "LUMEN_STATE_DIR": str(proxy.folder / "state"), "LUMEN_LOG_DIR": str(proxy.folder / "log"), TAG: proxy.tag,
    }  # fmt: skip
    given = {"BASE": "http://127.0.0.1:9/v1", "https_proxy": "again", "PYTHONPATH": "lib"}
    assert found == kept | documented | given


@pytest.mark.parametrize("shell", [{}, {"CLOUD_AI_API_KEY": "theirs"}], ids=["without-key", "with-key"])
@pytest.mark.parametrize("named", [(), (("CLOUD_AI_API_KEY", "given"), ("LUMEN_STATE_DIR", "/own"))])
def test_settings_of_a_check_replace_none_of_the_user(
    run: Run, tmp_path: Path, shell: dict[str, str], named: tuple[tuple[str, str], ...]
) -> None:
    """A foreign server gets a canary only if the user has no such key, and no other setting of a check."""
    env = {"CLOUD_AI_API_KEY": "canary", "LUMEN_BREAKER_FAILURES": "0", "LUMEN_STATE_DIR": "/shared"}
    target = replace(foreign("", *named), profile="openai")
    with Launcher(replace(run, caller=shell), target, tmp_path) as launches:
        found = launches(env=env).health().body["environ"]
    expected = {"CLOUD_AI_API_KEY": "canary", "LUMEN_STATE_DIR": "/shared"} | shell | dict(named)
    assert {name: found.get(name) for name in env} == {"LUMEN_BREAKER_FAILURES": None} | expected


def test_settings_reach_a_server_that_has_them(run: Run, tmp_path: Path) -> None:
    """A server with the profile lumen gets each setting of a check, unless the user has named the variable."""
    target = replace(foreign("", ("LUMEN_STANDBY", "1")), profile="lumen")
    with Launcher(replace(run, caller={"LUMEN_TIMEOUT_S": "9"}), target, tmp_path) as launches:
        found = launches(env={"LUMEN_TIMEOUT_S": "3", "LUMEN_STANDBY": "0"}).health().body["environ"]
    assert (found["LUMEN_TIMEOUT_S"], found["LUMEN_STANDBY"]) == ("3", "1")


def test_ours_has_a_clean_environment() -> None:
    """Our own proxy starts from the environment of pytest, with the guard and without the settings of the caller."""
    assert environment.base_environment(Target(), CALLER) is os.environ


def test_what_is_secret() -> None:
    """The texts between placeholders are secret, but not short ones, nor parts of addresses."""
    values = (
        "a-long-value", "{gateway_url}/v1", "true", "127.0.0.1", "gpt-4o-mini", "http://{host}:{port}",
        "{gateway_url}/v1/chat/completions", '{"url":"{gateway_url}","pw":"hunter2hunter2"}',
    )  # fmt: skip
    target = replace(foreign("", *((f"V{place}", value) for place, value in enumerate(values))), model="gpt-4o-mini")
    assert environment.find_secrets(target, {"SLACK_TOKEN": "xyzzy-plugh", "HOME": "/home/somebody"}) == {
        "a-long-value", "xyzzy-plugh", '{"url":"', '","pw":"hunter2hunter2"}',
    }  # fmt: skip


def test_headers_are_secret() -> None:
    """Values of headers are secret, keys also without their scheme; those of harmless headers are not."""
    headers = (
        ("Authorization", "Bearer key-of-mine"), ("X-Api-Key", "another-key"), ("X-Access-Token", "Token third-key"),
        ("X-Team", "team-blue"), ("X-Upstream-Key", "{gateway_url}/key"), ("Cookie", "short"),
        ("User-Agent", "conformance/1.0"), ("accept", "application/json"), ("X-Provider", "openai"),
    )  # fmt: skip
    assert environment.find_secrets(replace(foreign(), headers=headers), {}) == {
        "Bearer key-of-mine", "key-of-mine", "another-key", "Token third-key", "third-key", "team-blue",
    }  # fmt: skip


COMMANDS = {
    "server --verbose --api-key plugh-123 --port {port}": {"plugh-123"},
    "server --upstream_token=plugh-123": {"plugh-123"},
    "env MASTER_KEY=plugh-123 OTHER=xyzzy-123 server": {"plugh-123"},
    "sh -c 'PASSWORD=plugh-123 exec server --secret \"xyzzy-123\"'": {"plugh-123", "xyzzy-123"},
    """server --config '{"api_key": "plugh-123", "model": "xyzzy-123"}'""": {"plugh-123"},
    "server --api-key {gateway_url} --token-limit 100000 --key-file /etc/key.pem --max-tokens 100000": set(),
    "server --auth required --port {port} keyword-123 --tokenizer plain-123": {"required"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_secrets_in_a_command(command: str) -> None:
    """What stands behind the name of a secret in a command is secret; other words are not."""
    assert environment.find_secrets(replace(foreign(), command=tuple(shlex.split(command))), {}) == COMMANDS[command]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A server that connects beyond loopback and prints its environment, judged by a parallel worker."""
    command = f"--proxy-command='{sys.executable}' '{SERVER}' {{port}} goes-out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTP_PROXY", "http://proxy.example:3128")
        folder = tmp_path_factory.mktemp("ended")
        return judged(folder, command, WORD, BASE, "-k", "A1 or A3", "-n1", tests=ONE)


def test_a_way_beyond_loopback_is_no_error(ended: Ended) -> None:
    """A foreign server may connect beyond loopback: no check is an error for it."""
    assert (ended.status, ended.ids("error"), ended.ids("passed")) == (0, set(), {"A1", "A3"}), ended.output
    assert "IsolationError" not in ended.output


def test_an_open_connection_beyond_loopback_is_a_note(ended: Ended) -> None:
    """An external connection at readiness is reported once at the end; without a route there is none."""
    ask = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    asked = subprocess.run([sys.executable, "-S", "-c", ask], env={TAG: FOREIGN}, capture_output=True, check=False)
    routed = asked.returncode == 0
    assert ended.output.count("seen when it was ready or stopped: 192.0.2.1 port 9\n") == routed


def test_header_names_what_is_set_and_removed(ended: Ended) -> None:
    """The header has the names of the variables, and no value."""
    names = "PROXY_HOST, PROXY_PORT, UPSTREAM_WORD, BASE, E2E_LUMEN, CLOUD_AI_API_KEY; removed: HTTP_PROXY"
    assert names in ended.output
    assert "proxy.example" not in ended.output


@pytest.mark.parametrize("word", [WORD, CONFIGURATION], ids=["word", "configuration"])
def test_a_slow_start_is_reported_without_secrets(tmp_path: Path, word: str) -> None:
    """A start that takes longer than its option is the one error, with that limit; its log is masked."""
    command = f"--proxy-command='{sys.executable}' '{SERVER}' {{port}} 3600"
    late = judged(tmp_path, command, "--proxy-start-timeout=4", word, "-k", "A1", tests=ONE)
    assert late.ids("error") == {"A1"}
    assert "not ready within 4 s" in late.output
    assert f"the word is {MASK}" in late.output
    for shown in (late.output, str(late.verdicts), read_page(tmp_path / "report.html")):
        assert "xyzzy" not in shown


@pytest.mark.parametrize(
    ("limit", "backstop_s"),
    [
        ("--proxy-start-timeout=30", []),
        ("--proxy-timeout=60", []),
        ("--proxy-start-timeout=600", [3_000.0]),
        ("--proxy-timeout=600", [3_000.0]),
    ],
)
def test_a_long_limit_moves_the_backstop(pytester: pytest.Pytester, limit: str, backstop_s: list[float]) -> None:
    """The time-out of a test grows with the limits of starts and answers, so that it never ends an allowed one."""
    pytester.makeini("[pytest]\ntimeout = 300")
    options = (
        "-p",
        "lumen_conformance.plugin",
        "-p",
        "no:html",
        "--proxy-command=x",
    )
    (item,) = pytester.inline_genitems(pytester.makepyfile("def test_one(): 'It holds.'"), *options, limit)[0]
    assert [mark.args[0] for mark in item.iter_markers("timeout")] == backstop_s


def test_a_mark_is_not_scaled_twice(pytester: pytest.Pytester) -> None:
    """A test with its own time-out allows for slow answers already; it grows with the limit of a start alone."""
    pytester.makeini("[pytest]\ntimeout = 300")
    options = (
        "-p",
        "lumen_conformance.plugin",
        "-p",
        "no:html",
        "--proxy-command=x",
    )
    source = "import pytest\n@pytest.mark.timeout(40)\ndef test_one(): 'It holds.'"
    limits = ("--proxy-timeout=600", "--proxy-start-timeout=120")
    (item,) = pytester.inline_genitems(pytester.makepyfile(source), *options, *limits)[0]
    assert [mark.args[0] for mark in item.iter_markers("timeout")] == [80.0, 40]


@pytest.mark.parametrize(
    ("target", "backstop_s"),
    [(Target(), 300), (replace(foreign(), start_s=600), 3_000), (replace(foreign(), answer_s=600), 3_000)],
)
def test_a_stage_is_waited_for_until_shortly_before_the_backstop(target: Target, backstop_s: int) -> None:
    """A worker that waits for the stage of another stops before the time-out of its test."""
    assert 0.9 * backstop_s < lock_timeout_s(target) < backstop_s
