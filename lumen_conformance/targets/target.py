"""The target, which is the server under test: our own proxy, a server that a command launches, or a running server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import pytest

from lumen_conformance.http.client import TIMEOUT_S
from lumen_conformance.processes import shadow_modules
from lumen_conformance.registry.measurement import REPORTED_ONLY
from lumen_conformance.registry.option_table import spelled
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report import baseline
from lumen_conformance.report.under_test import TARGET
from lumen_conformance.targets import options, parsers
from lumen_conformance.targets.options import (
    LAUNCH_OPTIONS,
    api_key_of,
    list_given,
    refuse_empty,
    respelled,
)

PACKAGES = Path(__file__).resolve().parents[2]  # the folder that holds this package and our own proxy
MUTATION_FILES = pytest.StashKey[tuple[Path, ...]]()
"""The files with the mutations of `--mutation`; a plugin of this repository's tests sets it."""

HOST = "127.0.0.1"

CAPABILITIES = frozenset(options.CAPABILITIES)
LAUNCH_CAPABILITIES = frozenset(
    ("launch", "gateway", "restart", "orphans", "watchdog", "drain", "journal", "venv")
)  # of a launched target
OURS = CAPABILITIES - {"json", "tools", "n", "responses"}
PROBE_WITHOUT_HEALTH = "/v1/models"  # of a server without a health path: below 500 it is ready
OUR_START_S = 10.0  # a cold start takes 0.3 s here, and a virus scanner may read every file
# Large servers take 15 s for their imports on an idle machine.
FOREIGN_START_S = 60.0
# LUMEN_WATCHDOG_S, 10 s by default, until a hang is noticed, and a start.
OUR_HANG_S = 20.0
# A real model writes about 5 tokens a second on a processor, and an answer of 300 tokens.
MODEL_S = 60.0

__all__ = ["CAPABILITIES", "Profile", "Target", "merge", "target_of"]

Profile = Literal["lumen", "openai"]
MODELS: Final[dict[Profile, str]] = {"lumen": "lumen-gateway", "openai": "gpt-4o-mini"}


@dataclass(frozen=True)
class Target:
    """A server under test.

    ``command``      the command of a launch; ``{host}``, ``{port}`` and ``{gateway_url}`` are filled in
    ``tool``         the beginning of its other commands (``tool + ("check", …)``)
    ``can``          the declared capabilities
    ``health_path``  None: it has none, so it is ready when ``/v1/models`` answers below 500
    ``mutation``     the fault that each of its processes gets, for tests of the suite itself
    ``profile``      the protocol: lumen, that of our own proxy; openai, what every client relies on
    ``url``          the address of a running server, without ``/v1``; empty for a launched one
    ``model``        the model of every chat request
    ``headers``      the headers of every request, with the key
    ``variables``    variables for the environment of a launch, filled in as the command is; the values are secret
    ``load``         whether load and oversize checks may run
    ``start_s``      seconds within which a launch must be ready
    ``hang_s``       seconds within which a worker that hangs must be replaced by another one that answers
    ``answer_s``     seconds within which an answer must be complete, unless a check has its own budget
    """

    command: tuple[str, ...] = (sys.executable, "-m", "lumen_proxy", "serve", "--port", "{port}")
    tool: tuple[str, ...] = (sys.executable, "-m", "lumen_proxy")
    can: frozenset[str] = OURS
    health_path: str | None = "/health"
    mutation: str | None = None
    mutation_files: tuple[Path, ...] = ()
    profile: Profile = "lumen"
    url: str = ""
    model: str = MODELS["lumen"]
    api_key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    load: bool = True
    foreign: bool = False
    start_s: float = OUR_START_S
    answer_s: float = TIMEOUT_S
    hang_s: float = OUR_HANG_S

    def argv(self, port: int, gateway_url: str, args: tuple[str, ...] = ()) -> list[str]:
        """Return the command line of one launch. Only these three names are filled in; other braces stay."""
        return [*(_filled(word, port, gateway_url) for word in self.command), *args]

    def headers_of(self, port: int, gateway_url: str) -> tuple[tuple[str, str], ...]:
        """Return the headers of one launch, filled in as its command is: some servers get their gateway by a header."""
        return tuple((name, _filled(value, port, gateway_url)) for name, value in self.headers)

    def environ(self, folder: Path, gateway_url: str, port: int = 0) -> dict[str, str]:
        """Return the variables that each launch gets; see `environment` for the others."""
        environ = {
            "LUMEN_GATEWAY_URL": gateway_url,
            "LUMEN_STATE_DIR": str(folder / "state"),
            "LUMEN_LOG_DIR": str(folder / "log"),
        }
        if self.foreign:
            list_given = {name: _filled(value, port, gateway_url) for name, value in self.variables}
            return environ | {"PROXY_HOST": HOST, "PROXY_PORT": str(port)} | list_given
        paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PACKAGES)]))
        return environ | {"PYTHONPATH": paths} | self.mutation_environ()

    def mutation_environ(self) -> dict[str, str]:
        """Return the variables that arm the mutation in a child; none for a healthy target."""
        if not self.mutation:
            return {}
        files = os.pathsep.join(map(str, self.mutation_files))
        return {"E2E_LUMEN_MUTATION": self.mutation, "E2E_LUMEN_MUTATIONS": files}

    @property
    def cwd(self) -> Path | None:
        """The current folder of a launch: for a foreign command that of the user; None: a new folder."""
        return Path.cwd() if self.foreign else None

    @property
    def shadow_names(self) -> tuple[str, ...]:
        """The modules that its new folder has and that it must not import; see `shadow_modules`."""
        return () if self.foreign else shadow_modules.USUAL_NAMES

    @property
    def timeout_factor(self) -> float:
        """The factor of its limits to the usual ones of a foreign server, at least 1; test time-outs grow by it."""
        return max(1.0, self.start_s / FOREIGN_START_S, self.answer_s / MODEL_S)

    @property
    def probe_path(self) -> str:
        """The path whose answer says whether it is ready."""
        return self.health_path or PROBE_WITHOUT_HEALTH

    def is_ready_status(self, status: int | None) -> bool:
        """Return whether this status of the probe means that it is ready."""
        return status == 200 or (self.health_path is None and status is not None and status < 500)

    def describe(self) -> str:
        """Return its URL or its command as text."""
        return self.url or subprocess.list2cmdline(self.command)

    def explain_missing(self, *capabilities: str) -> str:
        """Return why a test that needs these capabilities is skipped; empty when all are declared."""
        names = {name: f"{name} (only our own proxy has it)" for name in options.ONLY_OURS}
        missing = ", ".join(names.get(name, name) for name in sorted(set(capabilities) - self.can))
        return missing and f"the target does not declare: {missing}"

    def require(self, *capabilities: str) -> None:
        """Skip the running test when the target does not declare all of these capabilities."""
        if reason := self.explain_missing(*capabilities):
            pytest.skip(reason)


UNDER_TEST: Final = pytest.StashKey[Target]()  # replaces the target of the command line


def target_of(config: pytest.Config) -> Target:
    """Return the target of the command line; raises pytest.UsageError for invalid options."""
    if UNDER_TEST in config.stash:
        return config.stash[UNDER_TEST]
    refuse_empty(config)
    command, url = config.getoption("proxy_command"), config.getoption("proxy_url")
    if command is not None and url is not None:
        raise pytest.UsageError(f"{spelled('command')} and {spelled('url')} are two targets: give one of them")
    if command is None and url is None:
        return _ours(config)
    return _foreign(config, command, url)


def _ours(config: pytest.Config) -> Target:
    if idle := list_given(config):
        raise pytest.UsageError(f"{', '.join(idle)}: only with {spelled('command')} or {spelled('url')}")
    return Target(mutation=config.getoption("mutation"), mutation_files=config.stash.get(MUTATION_FILES, ()))


def _foreign(config: pytest.Config, command: str | None, url: str | None) -> Target:
    if config.getoption("mutation"):
        raise pytest.UsageError("--mutation is for our own proxy only: omit it, or omit the options of the target")
    argv = parsers.split_command(command) if command is not None else ()
    profile: Profile = config.getoption("proxy_profile") or "openai"
    model = config.getoption("proxy_model")
    if command is None and (idle := [respelled(name) for name in LAUNCH_OPTIONS if config.getoption(name)]):
        raise pytest.UsageError(f"{', '.join(idle)}: only with {spelled('command')}")
    can = _declared(config, argv)
    start_s = _seconds(config, "--proxy-start-timeout") or FOREIGN_START_S
    if "auth" in can and not api_key_of(config):
        raise pytest.UsageError(f"{spelled('can')} auth needs {spelled('api-key')}: the key that the server requires")
    if url is not None and not model:
        raise pytest.UsageError(f"{spelled('url')} needs {spelled('model')}: it is the only model that is called there")
    return Target(
        command=argv,
        tool=(),
        can=can,
        health_path=parsers.parse_path(config.getoption("proxy_health_path") or "/health"),
        profile=profile,
        url=parsers.parse_origin(url) if url is not None else "",
        model=model or MODELS[profile],
        api_key=parsers.parse_key(api_key_of(config)),
        headers=_headers(config),
        load=url is None or config.getoption("proxy_load"),
        foreign=True,
        variables=_variables(config),
        start_s=start_s,
        hang_s=_seconds(config, "--proxy-hang-timeout") or start_s,
        answer_s=_seconds(config, "--proxy-timeout") or (TIMEOUT_S if "gateway" in can else MODEL_S),
    )


def _declared(config: pytest.Config, argv: tuple[str, ...]) -> frozenset[str]:
    """Return the capabilities of ``--proxy-can``, and those that the command shows: launch, and gateway by its URL."""
    can = parsers.parse_capabilities(config.getoption("proxy_can") or [], CAPABILITIES, options.ONLY_OURS)
    if not argv and (launch_only := can & LAUNCH_CAPABILITIES):
        raise pytest.UsageError(f"{spelled('can')} {', '.join(sorted(launch_only))}: only with {spelled('command')}")
    if not argv:
        return can
    values = [value for _, value in _variables(config)]
    named = any("{gateway_url}" in text for text in (*argv, *values, *(config.getoption("proxy_header") or [])))
    return can | {"launch"} | ({"gateway"} if named else set())


def _headers(config: pytest.Config) -> tuple[tuple[str, str], ...]:
    lines = tuple(parsers.parse_header(line) for line in config.getoption("proxy_header") or [])
    key = api_key_of(config)
    return (("Authorization", f"Bearer {key}"), *lines) if key else lines


def _variables(config: pytest.Config) -> tuple[tuple[str, str], ...]:
    return tuple(parsers.parse_variable(line) for line in config.getoption("proxy_env") or [])


def _seconds(config: pytest.Config, option: str) -> float | None:
    return parsers.parse_seconds(config.getoption(option), respelled(option))


def _filled(word: str, port: int, gateway_url: str) -> str:
    for name, value in {"{host}": HOST, "{port}": str(port), "{gateway_url}": gateway_url}.items():
        word = word.replace(name, value)
    return word


def configure(config: pytest.Config) -> None:
    """Refuse invalid options before anything runs; declare the marks about the needs of a test."""
    target = target_of(config)
    if config.getoption("baseline", None) and not target.foreign:
        raise pytest.UsageError("--baseline is for a foreign target: failures of our own proxy are fixed, not listed")
    config.addinivalue_line("markers", "needs(*capabilities): skipped where the target does not declare them")
    config.addinivalue_line("markers", "profile(name): left out where the target has another profile")
    config.addinivalue_line("markers", "load: many or very large requests; by URL only with --proxy-load")
    if target.foreign:
        config.stash[TARGET] = redactor().text(target.describe())
    if target.profile != "lumen":
        config.stash[REPORTED_ONLY] = frozenset(("S", "W"))


def header_line(config: pytest.Config) -> str | None:
    """Name the target, unless it is our own proxy."""
    target = target_of(config)
    description = redactor().text(target.describe())
    return f"target: {description} (profile {target.profile})" if target.foreign else None


def has_profile_of(target: Target, item: pytest.Item) -> bool:
    """Return whether a test is about the profile of this target."""
    return all(mark.args[0] == target.profile for mark in item.iter_markers("profile"))


def skip_reason(target: Target, item: pytest.Item) -> str:
    """Return why a test cannot run against this target; empty when it can."""
    needed = {word for mark in item.iter_markers("needs") for word in mark.args}
    if reason := target.explain_missing(*needed):
        return reason
    if not target.load and item.get_closest_marker("load"):
        return f"many or very large requests: by URL only with {spelled('load')}"
    return ""


def select(config: pytest.Config, items: list[pytest.Item], collected: list[pytest.Item]) -> None:
    """Deselect tests of another profile; skip those whose capabilities the target does not declare."""
    target = target_of(config)
    baseline.leave_out(config, [item for item in collected if not has_profile_of(target, item)])
    foreign = [item for item in items if not has_profile_of(target, item)]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if has_profile_of(target, item)]
    for item in items:
        _extend_timeout(target, item)
        if reason := skip_reason(target, item):
            item.add_marker(pytest.mark.skip(reason=reason))


def _extend_timeout(target: Target, item: pytest.Item) -> None:
    """Multiply the time-out of a test by the factor of the target; a mark allows for slow answers already."""
    mark = item.get_closest_marker("timeout")
    times = target.start_s / FOREIGN_START_S if mark else target.timeout_factor
    backstop_s = float(mark.args[0] if mark else item.config.getini("timeout") or 0)
    if times > 1 and backstop_s:
        item.add_marker(pytest.mark.timeout(backstop_s * times), append=False)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The server under test."""
    return target_of(request.config)


def merge(*layers: Mapping[str, str | None]) -> dict[str, str]:
    """Merge environments; the last wins, and None removes a variable."""
    merged = {name: value for layer in layers for name, value in layer.items()}
    return {name: value for name, value in merged.items() if value is not None}
