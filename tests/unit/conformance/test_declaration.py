"""The claim of a check names its row, where one test function is several checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lumen_conformance.registry import Check, check, check_each
from lumen_conformance.registry.declaration import claim_of


def claims(function: Callable[..., object]) -> list[str]:
    """The claims that the decorator has declared."""
    marks: list[pytest.Mark] = getattr(function, "pytestmark", [])
    return [each.claim for mark in marks for each in mark.args]


def test_a_row_is_named_where_the_docstring_says() -> None:
    """`({row})` is replaced by the words of the id that other rows do not have; the claim of all leaves it out."""

    @check_each("body", {"F2-null-param": None, "F2-empty-list-param": []})
    def function(body: object) -> None:
        """A request ({row}) is refused."""

    assert claims(function) == ["A request (null) is refused.", "A request (empty list) is refused."]
    assert claim_of(function) == "A request is refused."


def test_a_row_is_named_at_the_end() -> None:
    """Without a field in the docstring, the row is at the end of the claim."""

    @check_each("path", {"H3-list": "/v1/models", "H3-list-bare": "/models"})
    def function(path: str) -> None:
        """The list is JSON."""

    assert claims(function) == ["The list is JSON (list).", "The list is JSON (list bare)."]


def test_a_row_is_named_by_its_value() -> None:
    """`({host})` is replaced by the value of the argument with that name."""

    @check_each("host", {"H5-host-0": "localhost", "H5-host-1": "[::1]"})
    def function(host: str) -> None:
        """A host ({host}) is accepted."""

    assert claims(function) == ["A host (localhost) is accepted.", "A host ([::1]) is accepted."]


def test_an_own_claim_stays() -> None:
    """A row with a claim of its own keeps it, and a single check has its docstring."""

    @check_each("n", {Check("C1-a", claim="The first holds."): 1, "C1-b": 2})
    def rows(n: int) -> None:
        """One holds."""

    @check("C2")
    def single() -> None:
        """It holds."""

    assert claims(rows) == ["The first holds.", "One holds (b)."]
    assert claims(single) == ["It holds."]


def test_an_unknown_field_is_refused() -> None:
    """A field that is neither the row nor the argument raises an error that names both."""
    with pytest.raises(ValueError, match=r"\(\{hots\}\).* expected \(\{row\}\) or \(\{host\}\)"):

        @check_each("host", {"H5-a": "a", "H5-b": "b"})
        def function(host: str) -> None:
            """A host ({hots}) is accepted."""


def test_a_row_selects_a_variant_of_a_stage() -> None:
    """With ``is_stage`` each row is a check that reads one variant of the stage."""

    @check_each("started", {"15.1-port": "port", "15.2-host": "host"}, is_stage=True)
    def function(started: object) -> None:
        """A start is refused."""

    marks: list[pytest.Mark] = getattr(function, "pytestmark", [])
    (rows,) = [each for each in marks if each.name == "parametrize"]
    assert [(given.claim, variant) for given, variant in rows.args[1]] == [
        ("A start is refused (port).", "port"),
        ("A start is refused (host).", "host"),
    ]
    assert rows.kwargs["indirect"] == ["started"]
