"""The options about a target: parsed strictly, and refused in one line when they are invalid."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.http.client import TIMEOUT_S
from lumen_conformance.inject import lumen_guard
from lumen_conformance.targets import parsers
from lumen_conformance.targets.options import PROXY_OPTIONS, options_again
from lumen_conformance.targets.target import FOREIGN_START_S, MODEL_S, MODELS, OURS, target_of

ROOT = Path(__file__).resolve().parents[3]
COMMAND = "server --port {port} --behind {gateway_url} --json '{\"a\": {}}'"


class FakeConfig:
    """Return a configuration of pytest with these options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- whatever an option holds
        self.stash = pytest.Stash()
        self._options = {name.strip("-").replace("-", "_"): None for name in (*PROXY_OPTIONS, "mutation")} | options

    def getoption(self, name: str) -> Any:  # noqa: ANN401 -- same
        """See pytest."""
        return self._options[name.strip("-").replace("-", "_")]


def target(**options: Any) -> Any:  # noqa: ANN401 -- same
    """Return the target of these options."""
    return target_of(FakeConfig(**options))  # type: ignore[arg-type]  # only this method is asked


def test_without_options_it_is_our_own() -> None:
    """Without options our own proxy is the target, with all its capabilities and its own profile."""
    ours = target()
    assert (ours.profile, ours.foreign, ours.can, ours.url) == ("lumen", False, OURS, "")


def test_a_command_is_foreign() -> None:
    """A command launches, has the gateway if it names its URL, and has the profile openai by default."""
    found = target(proxy_command=COMMAND)
    assert (found.profile, found.foreign, found.can) == ("openai", True, frozenset({"launch", "gateway"}))
    assert (found.model, found.start_s) == (MODELS["openai"], FOREIGN_START_S)
    assert target(proxy_command="server {port}").can == frozenset({"launch"})
    assert target(proxy_command="server {port}", proxy_profile="lumen").profile == "lumen"


def test_a_command_is_filled_in(tmp_path: Path) -> None:
    """The three placeholders are filled in; other braces stay, and the environment has the same values."""
    found = target(proxy_command=COMMAND, proxy_header=["x-behind: {gateway_url}/v1"])
    assert found.argv(81, "http://g") == ["server", "--port", "81", "--behind", "http://g", "--json", '{"a": {}}']
    environ = found.environ(tmp_path, "http://g", 81)
    assert [environ[name] for name in ("PROXY_HOST", "PROXY_PORT", "LUMEN_GATEWAY_URL")] == [
        "127.0.0.1",
        "81",
        "http://g",
    ]
    assert found.headers_of(81, "http://g") == (("x-behind", "http://g/v1"),)


@pytest.mark.parametrize(
    ("command", "windows", "texts"),
    [
        ("a 'b c' \"d e\" f\\ g", False, ("a", "b c", "d e", "f g")),
        (r'C:\py\python.exe "C:\my server\run.py" --port {port}', True,
         (r"C:\py\python.exe", r"C:\my server\run.py", "--port", "{port}")),
        ("a 'b c'", True, ("a", "b c")),
        ("serve; rm -rf $HOME", False, ("serve;", "rm", "-rf", "$HOME")),
        ("a ${PORT} {time} {model}", False, ("a", "${PORT}", "{time}", "{model}")),
    ],
    ids=["posix", "windows", "windows-single", "no-shell", "other-braces"],
)  # fmt: skip
def test_a_command_is_split(command: str, windows: bool, texts: tuple[str, ...]) -> None:  # noqa: FBT001 -- a row
    """A command is split as in a shell, with backslashes kept on Windows; no shell runs it."""
    assert parsers.split_command(command, windows=windows) == texts


@pytest.mark.parametrize(
    ("url", "origin", "address"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("http://localhost:8080/v1/", "http://localhost:8080", ("localhost", 8080)),
        ("https://ai.example/team/v1", "https://ai.example/team", ("ai.example", 443)),
        ("http://ai.example", "http://ai.example", ("ai.example", 80)),
    ],
)
def test_origin_of_a_url(url: str, origin: str, address: tuple[str, int]) -> None:
    """A URL is an origin and a prefix, with or without its /v1."""
    assert (parsers.parse_origin(url), parsers.parse_address(origin)) == (origin, address)


def test_the_address_of_chats_is_no_origin() -> None:
    """The address of a request instead of an origin is refused, with what to drop."""
    with pytest.raises(pytest.UsageError, match=r"drop /chat/completions: give http://127\.0\.0\.1:1/v1$"):
        parsers.parse_origin("http://127.0.0.1:1/v1/chat/completions")


BY_URL = {"proxy_url": "http://127.0.0.1:1/v1", "proxy_model": "m"}
NONSENSE: dict[str, dict[str, object]] = {
    "two targets": {**BY_URL, "proxy_command": "a"},
    "open quote": {"proxy_command": "a 'b"},
    "empty command": {"proxy_command": "  "},
    "url of chats": {"proxy_url": "http://127.0.0.1:1/v1/chat/completions/", "proxy_model": "m"},
    "url without a host": {"proxy_url": "8080", "proxy_model": "m"},
    "url of another kind": {"proxy_url": "ftp://a", "proxy_model": "m"},
    "url with a bad port": {"proxy_url": "http://a:b", "proxy_model": "m"},
    "url with a password": {"proxy_url": "http://user:secret@a", "proxy_model": "m"},
    "url with a password alone": {"proxy_url": "http://:secret@a", "proxy_model": "m"},
    "url with a password and a bad port": {"proxy_url": "http://user:sec/secret@a:b", "proxy_model": "m"},
    "url with a query": {"proxy_url": "http://a?key=secret", "proxy_model": "m"},
    "url with an empty query": {"proxy_url": "http://a?", "proxy_model": "m"},
    "url with a blank": {"proxy_url": "http://a/b c", "proxy_model": "m"},
    "url beyond ASCII": {"proxy_url": "http://서버/v1", "proxy_model": "m"},
    "url with a line end": {"proxy_url": "http://a/v1\n", "proxy_model": "m"},
    "url with port 0": {"proxy_url": "http://127.0.0.1:0", "proxy_model": "m"},
    "url of nothing": {"proxy_url": "", "proxy_model": "m"},
    "model of nothing": {"proxy_command": "a", "proxy_model": ""},
    "key of nothing": {"proxy_command": "a", "proxy_api_key": ""},
    "key with a line end": {"proxy_command": "a", "proxy_api_key": "secret\r"},
    "key with a blank": {"proxy_command": "a", "proxy_api_key": "the secret"},
    "key beyond ASCII": {"proxy_command": "a", "proxy_api_key": "secret열쇠"},
    "header of nothing": {"proxy_command": "a", "proxy_header": [""]},
    "health with a blank": {"proxy_command": "a", "proxy_health_path": "/a b"},
    "health of nothing": {"proxy_command": "a", "proxy_health_path": ""},
    "url without a model": {"proxy_url": "http://127.0.0.1:1"},
    "unknown capability": {"proxy_command": "a", "proxy_can": ["models,telepathy"]},
    "journal of a stranger": {"proxy_command": "a", "proxy_can": ["journal"]},
    "environment of a stranger": {"proxy_command": "a", "proxy_can": ["models,venv"]},
    "port misspelt": {"proxy_command": "a {prt}"},
    "port in capitals": {"proxy_command": "a {PORT}"},
    "gateway misspelt in a header": {"proxy_command": "a", "proxy_header": ["x: {gateway-url}/v1"]},
    "gateway misspelt in a variable": {"proxy_command": "a", "proxy_env": ["A={gateway}"]},
    "launch by url": {**BY_URL, "proxy_can": ["launch"]},
    "gateway by url": {**BY_URL, "proxy_can": ["models", "gateway"]},
    "auth without a key": {"proxy_command": "a", "proxy_can": ["auth"]},
    "header without a colon": {"proxy_command": "a", "proxy_header": ["nonsense"]},
    "header of two lines": {"proxy_command": "a", "proxy_header": ["a: b\r\nc: d"]},
    "health without a slash": {"proxy_command": "a", "proxy_health_path": "health"},
    "time-out of nothing": {"proxy_command": "a", "proxy_timeout": "0"},
    "time-out in words": {"proxy_command": "a", "proxy_timeout": "soon"},
    "time-out without end": {"proxy_command": "a", "proxy_timeout": "inf"},
    "time-out of nothing at all": {"proxy_command": "a", "proxy_timeout": ""},
    "time-out of a year": {"proxy_command": "a", "proxy_timeout": "31536000"},
    "start without a number": {"proxy_command": "a", "proxy_start_timeout": "nan"},
    "start in minutes": {"proxy_command": "a", "proxy_start_timeout": "5m"},
    "start before now": {"proxy_command": "a", "proxy_start_timeout": "-1"},
    "start beyond all timers": {"proxy_command": "a", "proxy_start_timeout": "1e308"},
    "start in words": {"proxy_command": "a", "proxy_start_timeout": "soon"},
    "start by url": {**BY_URL, "proxy_start_timeout": "9"},
    "variable without a value": {"proxy_command": "a", "proxy_env": ["A"]},
    "variable without a name": {"proxy_command": "a", "proxy_env": ["=secret"]},
    "variable with a blank": {"proxy_command": "a", "proxy_env": ["A B=secret"]},
    "variable of the suite": {"proxy_command": "a", "proxy_env": ["E2E_LUMEN=secret"]},
    "variable by url": {**BY_URL, "proxy_env": ["A=secret"]},
    "variable for our own": {"proxy_env": ["A=secret"]},
    "a key for our own": {"proxy_api_key": "k"},
    "mutation of a foreign target": {"proxy_command": "a", "mutation": "s"},
}


@pytest.mark.parametrize("options", NONSENSE.values(), ids=[name.replace(" ", "-") for name in NONSENSE])
def test_nonsense_is_refused(options: dict[str, object]) -> None:
    """An invalid option is one line, before anything runs."""
    with pytest.raises(pytest.UsageError) as refused:
        target(**options)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_usage_error_is_exit_4() -> None:
    """Two targets at once end with the exit status of pytest for usage, and one line about it."""
    command = [sys.executable, "-m", "pytest", "--proxy-command", "a", "--proxy-url", "http://127.0.0.1:1", "--html="]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == "ERROR: --proxy-command and --proxy-url are two targets: give one of them"


def test_readiness_without_a_health() -> None:
    """Without a health path a target is ready as soon as its models answer below 500."""
    found = target(proxy_command="a", proxy_health_path="none")
    assert (found.probe_path, found.is_ready_status(401), found.is_ready_status(503)) == ("/v1/models", True, False)
    assert (target(proxy_command="a").probe_path, target(proxy_command="a").is_ready_status(401)) == ("/health", False)


def test_patience() -> None:
    """An answer has ten seconds behind the scripted gateway, a minute from a model, or the time of the option."""
    assert (target().answer_s, target(proxy_command=COMMAND).answer_s) == (TIMEOUT_S, TIMEOUT_S)
    assert (target(**BY_URL).answer_s, target(proxy_command="a").answer_s) == (MODEL_S, MODEL_S)
    assert target(**BY_URL, proxy_timeout="2.5").answer_s == 2.5


def test_a_slow_start() -> None:
    """A launch of a foreign target has a minute to become ready, or the time of the option, not that of answers."""
    found = target(proxy_command=COMMAND, proxy_start_timeout="300")
    assert (found.start_s, found.answer_s) == (300, TIMEOUT_S)
    assert target(proxy_command=COMMAND).start_s == FOREIGN_START_S


def test_variables(tmp_path: Path) -> None:
    """Each variable is filled in as the command is, a value may contain an equals sign, and the last of a name wins."""
    given = ["BASE={gateway_url}/v1", "EMPTY=", "PAIR=a=b", "PROXY_PORT={port}0", "PAIR=c=d"]
    found = target(proxy_command="server {port}", proxy_env=given)
    environ = found.environ(tmp_path, "http://g", 81)
    message = [environ[name] for name in ("BASE", "EMPTY", "PAIR", "PROXY_PORT")]
    assert message == ["http://g/v1", "", "c=d", "810"]
    assert found.can == {"launch", "gateway"}
    assert "c=d" not in repr(found)


def test_the_guard_allows_only_the_named_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection beyond loopback is allowed to the named host and port only."""
    monkeypatch.setattr(lumen_guard, "ALLOWED", {("203.0.113.7", 443)})  # of RFC 5737, nobody's; a number asks no DNS
    assert lumen_guard.is_allowed("203.0.113.7", 443)
    assert not lumen_guard.is_allowed("203.0.113.7", 80)
    assert not lumen_guard.is_allowed("203.0.113.8", 443)


def test_the_guard_allows_no_host_by_default() -> None:
    """Without a URL no connection beyond loopback is allowed."""
    assert set() == lumen_guard.ALLOWED


def test_the_options_of_a_command_to_run_again() -> None:
    """A report says how to run a check again: all options of the target, and nothing that may be secret."""
    given = {
        "proxy_command": COMMAND,
        "proxy_can": ["models,n", "tools"],
        "proxy_header": ["X-Tenant: blue"],
        "proxy_env": ["TOKEN=a=b"],
        "proxy_api_key": "sk-secret",
        "proxy_load": True,
    }
    again = shlex.split(options_again(FakeConfig(**given)))  # type: ignore[arg-type]  # only getoption is asked
    expected = ["--command", COMMAND, "--api-key", "…", "--header", "X-Tenant:…", "--can", "models,n", "--can", "tools"]
    assert again == [*expected, "--load", "--env", "TOKEN=…"]
