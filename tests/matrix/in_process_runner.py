"""Run the contract suite's own tests against a target of this process, without the cost of a pytest for each.

The tests are what pytest collects from `tests/contract`: the same functions, with the same parameters and the same
fixtures, resolved here by the rules of pytest (scope, parameters, teardown in reverse). Only the launches are given by
the caller. `test_agreement.py` holds this against a real run of pytest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from types import SimpleNamespace, TracebackType
from typing import Any, NamedTuple, Self

import pytest
from _pytest.outcomes import Failed, Skipped
from _pytest.python import get_direct_param_fixture_func as parameter

from lumen_conformance.registry import declaration
from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted
from lumen_conformance.targets import options
from lumen_conformance.targets import target as targets
from lumen_conformance.targets.target import Profile, Target, target_of
from tests.contract import conftest
from tests.fixtures.repository import ROOT

# What a target of each profile is said to be; the command is never run.
AS: dict[Profile, tuple[str, ...]] = {
    "lumen": (),
    "openai": ("--proxy-command", "reference {gateway_url}", "--proxy-can", "models,n,tools,health"),
}
# Real clients judge by themselves, a process is more than its wire, and what is not declared is not asked.
OTHERS = {"clients", "process", "skip"}
PLUGINS = (declaration, targets, conftest)
QUIET = (
    "-W",
    "ignore::pytest.PytestUnknownMarkWarning",
    "--collect-only",
    "--noconftest",
    "-p",
    "no:terminal",
    "-p",
    "no:cacheprovider",
)


class Outcome(NamedTuple):
    """How one test ended: ``passed``, ``failed``, ``not_judged``, ``skipped``, or ``error``, a fault of the suite.

    ``failure``     what was expected and found, where the check states it
    ``because_of``  the checks that say why it was not judged
    """

    word: str
    reason: str = ""
    failure: Failure | None = None
    because_of: tuple[str, ...] = ()


class Asked(NamedTuple):
    """One check with its parameters, as pytest collected it."""

    check: str
    name: str
    item: pytest.Function


class Contract(NamedTuple):
    """A target, and the tests that are about its wire."""

    target: Target
    tests: tuple[Asked, ...]

    @property
    def checks(self) -> frozenset[str]:
        """The ids of all that it can be held to."""
        return frozenset(test.check for test in self.tests)


class _Collected:
    def __init__(self) -> None:
        self.target = Target()
        self.tests: list[Asked] = []
        self.trouble: list[str] = []

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        options.add_options(parser)

    def pytest_configure(self, config: pytest.Config) -> None:
        targets.configure(config)
        declaration.configure(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        declaration.parametrize(metafunc)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        targets.select(config, items, items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.trouble.append(report.longreprtext)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.target = target_of(session.config)
        for item in session.items:
            found = check_of(item)
            if found and isinstance(item, pytest.Function) and not set(item.keywords) & OTHERS:
                self.tests.append(Asked(found.id, item.name, item))


@cache
def contract(profile: Profile) -> Contract:
    """Every numbered check for targets of a profile, in the order of pytest; raises RuntimeError when it refuses."""
    found = _Collected()
    arguments = ["-o", "addopts=--import-mode=importlib", *QUIET, *AS[profile]]
    status = pytest.main([str(ROOT / "tests" / "contract"), "--rootdir", str(ROOT), *arguments], [found, *PLUGINS])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"the contract cannot be collected: {status!r} {found.trouble}")
    return Contract(found.target, tuple(found.tests))


class Fixture(NamedTuple):
    """A fixture as one test needs it, by the rules of pytest.

    ``key``    the same for all tests that share what it makes
    ``own``    whether it is made for each test
    ``needs``  the names of its arguments
    ``param``  its parameter in this test
    ``given``  whether it is nothing but this parameter
    """

    key: tuple[object, ...]
    own: bool
    needs: tuple[str, ...]
    param: object
    given: bool
    make: Callable[..., Any]
    yields: bool


class Running:
    """Fixtures of one target, each made once in its scope. Closed by ``with``: teardown, the last first."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._kept: dict[object, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, test: Asked) -> Outcome:
        """Run one test with its fixtures."""
        item, own = test.item, ExitStack()
        setup = partial(self._value, item=item, own=(own, {}))
        info = item._fixtureinfo  # noqa: SLF001 -- what pytest has found out about the test
        try:
            values = {name: setup(name) for name in info.initialnames}
        except BaseException as error:  # noqa: BLE001 -- skips and failures are no Exceptions
            return _ended(error, "error")
        try:
            item.obj(**{name: values[name] for name in info.argnames})
        except BaseException as error:  # noqa: BLE001
            return _ended(error, "failed")
        finally:
            torn = _closed(own)
        return torn or Outcome("passed")

    def _value(self, name: str, *, item: pytest.Function, own: tuple[ExitStack, dict[object, Any]]) -> Any:  # noqa: ANN401
        """What a fixture gives, made at most once in its scope."""
        if name in self._given:
            return self._given[name]
        fixture = fixture_of(item, name)
        if fixture.given:
            return fixture.param
        stack, kept = own if fixture.own else (self._stack, self._kept)
        if fixture.key not in kept:
            value = partial(self._value, item=item, own=own)
            request = SimpleNamespace(param=fixture.param, getfixturevalue=value, node=item)
            arguments = {each: request if each == "request" else value(each) for each in fixture.needs}
            made = fixture.make(**arguments)
            kept[fixture.key] = stack.enter_context(made) if fixture.yields else made
        return kept[fixture.key]


@cache  # of what pytest has collected, which never changes: each fault runs the same tests again
def fixture_of(item: pytest.Function, name: str) -> Fixture:
    """The fixture of this name for a test; raises LookupError when there is none."""
    if name == "request":
        raise LookupError("only fixtures may ask for the request")
    known = item._fixtureinfo.name2fixturedefs.get(name)  # noqa: SLF001
    found = known or item.session._fixturemanager.getfixturedefs(name, item)  # noqa: SLF001 -- asked for while it runs
    if not found:
        raise LookupError(f"{item.name} needs a fixture {name}, which neither the contract nor the caller has")
    fixture, yields = found[-1], inspect.isgeneratorfunction(found[-1].func)
    key = (name, item.path if fixture.scope == "module" else None, item.callspec.indices.get(name))
    make = contextmanager(fixture.func) if yields else fixture.func
    own, param, given = fixture.scope == "function", item.callspec.params.get(name), fixture.func is parameter
    return Fixture(key, own, fixture.argnames, param, given, make, yields)


def _closed(own: ExitStack) -> Outcome | None:
    try:
        own.close()
    except BaseException as error:  # noqa: BLE001
        return _ended(error, "error")
    return None


def _ended(error: BaseException, word: str) -> Outcome:
    if isinstance(error, Skipped):
        return Outcome("skipped", str(error))
    if isinstance(error, Refuted):
        return Outcome(word, str(error), error.failure)
    if isinstance(error, NotJudged):
        return Outcome("not_judged", str(error), because_of=error.because_of)
    if not isinstance(error, Exception | Failed):
        raise error
    refuting = isinstance(error, AssertionError | Failed)  # any other exception says nothing about the target
    return Outcome(word if refuting else "error", f"{type(error).__name__}: {error}")


def outcomes(tests: Iterable[Asked], given: Mapping[str, object]) -> dict[str, Outcome]:
    """Run tests against what the given fixtures launch: the outcome of each, by its pytest name."""
    with Running(given) as running:
        return {test.name: running.run(test) for test in tests}
