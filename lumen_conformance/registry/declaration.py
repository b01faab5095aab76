"""Declare a check: a test with a number, ``@check("1.4-automatic-restart")``.

The pytest id of a check is this string; further parameters follow after a hyphen. The claim of a check is the first
line of its docstring, so a test without a docstring cannot be collected.

A test of many rows is many checks. The claim of each names its row: ``({row})`` in the docstring is replaced by the
words of the id that the other rows do not have, and ``({host})`` by the value of the argument ``host``. A docstring
without such a field gets the row at its end.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

import pytest

Tier = Literal["M", "S", "W"]
TestFunction = TypeVar("TestFunction", bound=Callable[..., object])

# ASCII, because pytest shows anything else escaped; no brackets, because pytest puts the id between them.
_CHECK_ID: Final = re.compile(r"[A-Z]?[0-9]+(\.[0-9]+)*(-[A-Za-z0-9_-]+)?")
_TIERS: Final = ("M", "S", "W")
_ROW_FIELD: Final = re.compile(r" \(\{(\w+)\}\)")
_CLAIMED: Final = pytest.StashKey[dict[str, str]]()


@dataclass(frozen=True)
class Check:
    """The id of a check, its tier (must, strict, warn), and its Korean title, if any.

    ``claim`` replaces the docstring; the decorators set it where it is empty.
    """

    id: str
    tier: Tier = "M"
    title: str | None = None
    claim: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not _CHECK_ID.fullmatch(self.id):
            raise ValueError(
                f"check id {self.id!r} is invalid: expected ASCII words after a number, such as 1.4-automatic-restart"
            )
        if self.tier not in _TIERS:
            raise ValueError(f"check {self.id}: tier {self.tier!r} is invalid: expected one of {', '.join(_TIERS)}")


def check(
    check_id: str,
    *,
    tier: Tier = "M",
    title: str | None = None,
    marks: tuple[pytest.MarkDecorator, ...] = (),
    source: str = "",
) -> Callable[[TestFunction], TestFunction]:
    """Declare the test as one check.

    ``title`` is a Korean title for the report; ``marks`` are added to the test.
    Raises ValueError when the id or the tier is invalid.
    """
    return _marked((Check(check_id, tier, title, source=source),), marks)


def check_each(
    argument: str,
    rows: Mapping[Any, Any],
    *,
    tier: Tier = "M",
    marks: tuple[pytest.MarkDecorator, ...] = (),
    source: str = "",
    is_stage: bool = False,
) -> Callable[[TestFunction], TestFunction]:
    """Declare one check for each row: a key of ``rows`` is a check id, and its value is passed as ``argument``.

    A key may also be a ``Check``, with its own tier and claim. With ``is_stage``, ``argument`` is a stage, and the
    values are its variants: each check reads one of them.
    Raises ValueError when an id or the tier is invalid.
    """
    named = (row if isinstance(row, Check) else Check(row, tier) for row in rows)
    checks = tuple(each if each.source else replace(each, source=source) for each in named)
    arguments = {"argument": argument, "values": tuple(rows.values())}
    return _marked(checks, marks, **arguments, **({"is_stage": True} if is_stage else {}))


def _marked(
    checks: tuple[Check, ...],
    marks: tuple[pytest.MarkDecorator, ...],
    **arguments: Any,  # noqa: ANN401 -- of `check_each`
) -> Callable[[TestFunction], TestFunction]:
    def mark(function: TestFunction) -> TestFunction:
        claimed = _claimed(checks, _first_line(function), arguments)
        for each in (pytest.mark.check(*claimed, **arguments), *_variants(claimed, **arguments), *marks):
            function = each(function)
        return function

    return mark


def _variants(
    claimed: tuple[Check, ...], argument: str = "", values: tuple[Any, ...] = (), *, is_stage: bool = False
) -> tuple[pytest.MarkDecorator, ...]:
    """Return the mark that selects the variants of a stage: for a mark, pytest omits the parameters of the stage."""
    ids = [each.id for each in claimed]
    rows = list(zip(claimed, values, strict=False))
    return (pytest.mark.parametrize(("check_id", argument), rows, ids=ids, indirect=[argument]),) if is_stage else ()


def _claimed(checks: tuple[Check, ...], sentence: str, arguments: Mapping[str, Any]) -> tuple[Check, ...]:
    """Return the checks with their claims, each with its row."""
    argument, values = arguments.get("argument", ""), arguments.get("values", checks)
    rows = zip(checks, _rows_of([each.id for each in checks]), values, strict=True)
    fields = (({argument: str(value), "row": row}, each) for each, row, value in rows)
    return tuple(each if each.claim else replace(each, claim=_claim(sentence, row)) for row, each in fields)


def _claim(sentence: str, fields: dict[str, str]) -> str:
    """Return the claim of one row; raises ValueError for a field that the row does not have."""
    if unknown := set(_ROW_FIELD.findall(sentence)) - set(fields):
        known = " or ".join(f"({{{name}}})" for name in reversed(fields) if name)
        raise ValueError(f"claim {sentence!r} has the field ({{{unknown.pop()}}}): expected {known}")
    placed = sentence if _ROW_FIELD.search(sentence) or not fields["row"] else f"{sentence.rstrip('.')} ({{row}})."
    return _ROW_FIELD.sub(lambda found: f" ({fields[found[1]]})", placed)


def _rows_of(ids: list[str]) -> list[str]:
    """Return the middle of each id, without the words that all ids begin and end with; empty for a single id.

    ``F2-body-null`` and ``F2-body-list`` have the rows ``null`` and ``list``.
    """
    if len(ids) == 1:
        return [""]
    words = [each.split("-")[1:] or [each] for each in ids]
    shortest = min(map(len, words)) - 1  # at least one word is left
    last = next((n for n in range(shortest) if len({each[-1 - n] for each in words}) > 1), shortest)
    first = next((n for n in range(shortest - last) if len({each[n] for each in words}) > 1), shortest - last)
    return [" ".join(each[first : len(each) - last]) for each in words]


def claim_of(function: object) -> str:
    """Return the first line of the docstring, without the field of the row, or an empty text."""
    return _ROW_FIELD.sub("", _first_line(function))


def _first_line(function: object) -> str:
    lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def refuse_without_source(metafunc: pytest.Metafunc) -> None:
    """Fail the collection of a check without a source."""
    for each in (each for mark in metafunc.definition.iter_markers("check") for each in mark.args):
        if not each.source:
            name = metafunc.definition.nodeid
            pytest.fail(f"{name}: check {each.id} has no source; pass source= to its decorator", pytrace=False)


def check_of(item: pytest.Item) -> Check | None:
    """Return the check of a test, or None for a test without a number."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("check_id") if callspec else None
    return found if isinstance(found, Check) else None


def parameters_of(item: pytest.Item, found: Check) -> str:
    """Return the part of the pytest id after the check id: further parameters, or an empty text."""
    pytest_id: str = item.callspec.id  # type: ignore[attr-defined]  # a check is always parametrized
    return pytest_id.removeprefix(found.id).removeprefix("-")


@pytest.fixture
def check_id() -> Check | None:
    """Return None, the value for a test without a number; ``check`` overrides it."""
    return None


@pytest.fixture(autouse=True)
def _request_check_id(check_id: Check | None) -> None:
    """Request ``check_id`` for every test, so that ``check`` can parametrize tests that do not name it."""


def configure(config: pytest.Config) -> None:
    """Declare the marker of the decorators."""
    config.addinivalue_line(
        "markers", "check(*checks): set by the decorators of lumen_conformance.registry.declaration"
    )
    config.stash[_CLAIMED] = {}


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a check its pytest id; fail for a test without a claim."""
    name = metafunc.definition.nodeid
    if not claim_of(metafunc.function):
        pytest.fail(f"{name} has no docstring: write one; its first line is the claim in the report", pytrace=False)
    marks = list(metafunc.definition.iter_markers("check"))
    if len(marks) > 1:
        pytest.fail(f"{name} has {len(marks)} check decorators: expected one; use check_each for rows", pytrace=False)
    for mark in marks:
        _refuse_duplicates(metafunc, mark.args)
        _parametrize(metafunc, mark)


def _refuse_duplicates(metafunc: pytest.Metafunc, checks: tuple[Check, ...]) -> None:
    claimed = metafunc.config.stash[_CLAIMED]
    name = metafunc.definition.nodeid
    for each in checks:
        if (first := claimed.setdefault(each.id, name)) != name:
            pytest.fail(f"check id {each.id} is used twice, in {first} and {name}: change one", pytrace=False)


def _parametrize(metafunc: pytest.Metafunc, mark: pytest.Mark) -> None:
    ids = [each.id for each in mark.args]
    if "is_stage" in mark.kwargs:
        return
    if "argument" in mark.kwargs:
        rows = list(zip(mark.args, mark.kwargs["values"], strict=True))
        metafunc.parametrize(("check_id", mark.kwargs["argument"]), rows, ids=ids)
    else:
        metafunc.parametrize("check_id", mark.args, ids=ids)
