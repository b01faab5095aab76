"""A check is a test with a number: ``@check("1.4-automatic-restart")``.

Its pytest id is that string, exactly; further parameters follow after a hyphen.  Its claim is the first line of its
docstring, so a test without one cannot be collected.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

import pytest

Tier = Literal["M", "S", "W"]
TestFunction = TypeVar("TestFunction", bound=Callable[..., object])

# ASCII, because pytest shows anything else escaped; no brackets, because pytest puts the id between them.
_CHECK_ID: Final = re.compile(r"[A-Z]?[0-9]+(\.[A-Za-z0-9]+)*([-.][A-Za-z0-9_.-]+)?")
_TIERS: Final = ("M", "S", "W")
_CLAIMED: Final = pytest.StashKey[dict[str, str]]()


@dataclass(frozen=True)
class Check:
    """The id of a check, its tier (must, strict, warn) and, if any, its Korean title.

    ``claim``   replaces the docstring when one test function is many checks
    ``source``  who requires what the check claims: a specification, the code of a client, an issue, a document
    """

    id: str
    tier: Tier = "M"
    title: str | None = None
    claim: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not _CHECK_ID.fullmatch(self.id):
            raise ValueError(f"check id {self.id!r} is not ASCII words after a number, such as 1.4-automatic-restart")
        if self.tier not in _TIERS:
            raise ValueError(f"check {self.id}: tier {self.tier!r} is none of {', '.join(_TIERS)}")


def check(
    check_id: str,
    *,
    tier: Tier = "M",
    title: str | None = None,
    marks: tuple[pytest.MarkDecorator, ...] = (),
    source: str = "",
) -> Callable[[TestFunction], TestFunction]:
    """Make the test one check.

    ``title`` is a second column of the report, in Korean; ``marks`` are put on the test; see `Check` for ``source``.
    Raises ValueError when the id or the tier is malformed.
    """
    return _marked((Check(check_id, tier, title, source=source),), marks)


def check_each(
    argument: str,
    rows: Mapping[Any, Any],
    *,
    tier: Tier = "M",
    marks: tuple[pytest.MarkDecorator, ...] = (),
    source: str = "",
) -> Callable[[TestFunction], TestFunction]:
    """Make the test one check a row: each key of ``rows`` is a check id, its value is passed as ``argument``.

    A key may also be a whole ``Check``, with a tier, a claim and a source of its own.
    Raises ValueError when an id or the tier is malformed.
    """
    named = (row if isinstance(row, Check) else Check(row, tier) for row in rows)
    checks = tuple(each if each.source else replace(each, source=source) for each in named)
    return _marked(checks, marks, argument=argument, values=tuple(rows.values()))


def _marked(
    checks: tuple[Check, ...], marks: tuple[pytest.MarkDecorator, ...], **how: object
) -> Callable[[TestFunction], TestFunction]:
    def mark(function: TestFunction) -> TestFunction:
        for each in (pytest.mark.check(*checks, **how), *marks):
            function = each(function)
        return function

    return mark


def claim_of(function: object) -> str:
    """Return the first line of the docstring, or an empty text."""
    lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def check_of(item: pytest.Item) -> Check | None:
    """Return the check that this item is, or None for a plain test."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("check_id") if callspec else None
    return found if isinstance(found, Check) else None


def parameters_of(item: pytest.Item, found: Check) -> str:
    """Return the part of the pytest id behind the check id: what else the test is parametrized by, or an empty text."""
    whole: str = item.callspec.id  # type: ignore[attr-defined]  # a check is always parametrized
    return whole.removeprefix(found.id).removeprefix("-")


@pytest.fixture
def check_id() -> Check | None:
    """Return nothing: a test without a check; ``check`` parametrizes it away."""
    return None


@pytest.fixture(autouse=True)
def _check_id_is_known(check_id: Check | None) -> None:
    """Ask for ``check_id`` in every test's name, so that it can be parametrized without the test naming it."""


@pytest.hookimpl
def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark that carries a check to its parametrization."""
    config.addinivalue_line(
        "markers", "check(*checks): set by the decorators of lumen_conformance.registry.declaration"
    )
    config.stash[_CLAIMED] = {}


@pytest.hookimpl(tryfirst=True)  # before pytest's own, so that the check id comes first in the pytest id
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse a test without a claim; give a check its id."""
    name = metafunc.definition.nodeid
    if not claim_of(metafunc.function):
        pytest.fail(f"{name}: no docstring; its first line is the claim that the report shows", pytrace=False)
    marks = list(metafunc.definition.iter_markers("check"))
    if len(marks) > 1:
        pytest.fail(f"{name}: {len(marks)} check decorators; one test is one check (rows: check_each)", pytrace=False)
    for mark in marks:
        _refuse_twins(metafunc, mark.args)
        _parametrize(metafunc, mark)


def _refuse_twins(metafunc: pytest.Metafunc, checks: tuple[Check, ...]) -> None:
    claimed = metafunc.config.stash[_CLAIMED]
    name = metafunc.definition.nodeid
    for each in checks:
        if (first := claimed.setdefault(each.id, name)) != name:
            pytest.fail(f"check {each.id} is claimed twice: {first} and {name}", pytrace=False)


def _parametrize(metafunc: pytest.Metafunc, mark: pytest.Mark) -> None:
    ids = [each.id for each in mark.args]
    if "argument" in mark.kwargs:
        rows = list(zip(mark.args, mark.kwargs["values"], strict=True))
        metafunc.parametrize(("check_id", mark.kwargs["argument"]), rows, ids=ids)
    else:
        metafunc.parametrize("check_id", mark.args, ids=ids)
