"""A foreign server is left alone: its environment is the caller's, without a guard, and its secrets are masked."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures import environments
from tests.fixtures.guard import INJECT
from tests.fixtures.inject.lumen_guard import FOREIGN
from tests.fixtures.outer import Run as Ended
from tests.fixtures.outer import run as judged
from tests.fixtures.processes import Launches
from tests.fixtures.report.redaction import MASK
from tests.fixtures.run import TAG, Run
from tests.fixtures.targets import Target

SERVER = Path(__file__).with_name("plain_server.py")
WORD, BASE = "--proxy-env=UPSTREAM_WORD=xyzzy-plugh", "--proxy-env=BASE={gateway_url}/v1"
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
    """It finds what the caller has, without proxy servers; documented variables and its own are set, nothing else."""
    target = foreign("", ("BASE", "{gateway_url}/v1"), ("https_proxy", "again"))
    with Launches(replace(run, caller=CALLER), target, tmp_path) as launches:
        proxy = launches(gateway="http://127.0.0.1:9")
        found = {name: str(value) for name, value in proxy.health().body["environ"].items() if name != "LC_CTYPE"}
    kept = {name: CALLER[name] for name in ("HOME", "PROXY_SETTING", "LUMEN_SETTING", "SLACK_TOKEN", "NO_PROXY")}
    documented = {
        "PROXY_HOST": "127.0.0.1", "PROXY_PORT": str(proxy.port), "LUMEN_GATEWAY_URL": "http://127.0.0.1:9",
        "LUMEN_STATE_DIR": str(proxy.folder / "state"), "LUMEN_LOG_DIR": str(proxy.folder / "log"), TAG: proxy.tag,
    }  # fmt: skip
    given = {"BASE": "http://127.0.0.1:9/v1", "https_proxy": "again", "PYTHONPATH": "lib"}
    assert found == kept | documented | given


def test_ours_has_a_clean_environment() -> None:
    """Our own proxy starts from the environment of pytest, where the guard is and the caller's settings are not."""
    assert environments.base_of(Target(), CALLER) is os.environ


def test_what_is_secret() -> None:
    """Values are secret, but for addresses of this launch, short words and what each report has anyway."""
    values = ("a-long-value", "{gateway_url}/v1", "true", "127.0.0.1", "gpt-4o-mini")
    target = replace(foreign("", *((f"V{place}", value) for place, value in enumerate(values))), model="gpt-4o-mini")
    assert environments.secrets(target, {"SLACK_TOKEN": "xyzzy-plugh", "HOME": "/home/somebody"}) == {
        "a-long-value", "xyzzy-plugh",
    }  # fmt: skip


def test_keys_in_headers_are_secret() -> None:
    """The key, and headers whose names say so, are secret, with and without their scheme; other headers are not."""
    headers = (
        ("Authorization", "Bearer key-of-mine"), ("X-Api-Key", "another-key"), ("X-Access-Token", "Token third-key"),
        ("X-Team", "team-blue"), ("X-Upstream-Key", "{gateway_url}/key"), ("Cookie", "short"),
    )  # fmt: skip
    assert environments.secrets(replace(foreign(), headers=headers), {}) == {
        "Bearer key-of-mine", "key-of-mine", "another-key", "Token third-key", "third-key",
    }  # fmt: skip


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A server that goes beyond loopback and prints its environment, judged by a parallel worker."""
    command = f"--proxy-command='{sys.executable}' '{SERVER}' {{port}} goes-out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTP_PROXY", "http://proxy.example:3128")
        folder = tmp_path_factory.mktemp("ended")
        return judged(folder, command, WORD, BASE, "-k", "A1 or A3", "-n1", tests=ONE)


def test_a_way_beyond_loopback_is_no_error(ended: Ended) -> None:
    """A foreign server may look for others than its gateway: no check is an error for it."""
    assert (ended.status, ended.ids("error"), ended.ids("passed")) == (0, set(), {"A1", "A3"}), ended.output
    assert "BeyondLoopback" not in ended.output


def test_an_open_connection_beyond_loopback_is_a_note(ended: Ended) -> None:
    """What it is connected to when it is ready is told once at the end; where there is no route, nothing is."""
    ask = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    asked = subprocess.run([sys.executable, "-S", "-c", ask], env={TAG: FOREIGN}, capture_output=True, check=False)
    routed = asked.returncode == 0
    assert ended.output.count("seen when it was ready or stopped: 192.0.2.1 port 9\n") == routed


def test_header_names_what_is_set_and_removed(ended: Ended) -> None:
    """The header has the names, and no value."""
    names = "PROXY_HOST, PROXY_PORT, UPSTREAM_WORD, BASE, E2E_LUMEN; removed: HTTP_PROXY"
    assert names in ended.output
    assert "proxy.example" not in ended.output


def test_a_slow_start_is_told_without_secrets(tmp_path: Path) -> None:
    """A start that takes longer than its option says is the one error, with that bound; its log is masked."""
    command = f"--proxy-command='{sys.executable}' '{SERVER}' {{port}} 3600"
    late = judged(tmp_path, command, "--proxy-start-timeout=4", WORD, "-k", "A1", tests=ONE)
    assert late.ids("error") == {"A1"}
    assert "not within 4 s" in late.output
    assert f"the word is {MASK}" in late.output
    for shown in (late.output, str(late.verdicts), (tmp_path / "report.html").read_text("utf-8")):
        assert "xyzzy" not in shown


@pytest.mark.parametrize(("start", "backstop_s"), [("30", []), ("600", [3_000.0])])
def test_a_slow_start_moves_the_backstop(pytester: pytest.Pytester, start: str, backstop_s: list[float]) -> None:
    """The time-out of a test grows with that of a start, so that it never ends one that is allowed."""
    pytester.makeini("[pytest]\ntimeout = 300")
    options = ("-p", "tests.fixtures.run", "-p", "tests.fixtures.targets", "-p", "no:html", "--proxy-command=x")
    (item,) = pytester.inline_genitems(
        pytester.makepyfile("def test_one(): pass"), *options, f"--proxy-start-timeout={start}"
    )[0]
    assert [mark.args[0] for mark in item.iter_markers("timeout")] == backstop_s
