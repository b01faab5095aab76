"""Every row of every table of `docs/behaviour.md` names tests that exist, and the tables are those of the program."""

from __future__ import annotations

import ast

import pytest

from lumen_proxy.config import SETTINGS, load
from lumen_proxy.worker.app import Proxy
from tests.unit.proxy.behaviour import known, rows, streamed, tables, uses_a_stream


@pytest.mark.parametrize("heading", [heading for heading in tables() if heading != "Errors"])
def test_no_row_is_untested(heading: str) -> None:
    """Each row names at least one test, and each test that it names exists."""
    for row in rows(heading):
        named = [name for column in ("tests", "streamed") for name in row.get(column, "").split() if name != "–"]
        assert named, row
        assert set(named) <= known(), (row, set(named) - known())


def test_streams_are_tested_as_streams() -> None:
    """What the column says is asked as a stream is."""
    for heading in tables():
        for row in rows(heading):
            asked = set(row.get("streamed", "").split()) - {"–"}
            assert asked <= streamed(), (row, asked - streamed())


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        ("served.chat(stream=True)", True),
        ("post({'stream': True})", True),
        ("[served.chat(stream=stream) for stream in (False, True)]", True),
        ("served.chat()", False),
        ("served.chat(stream=False)", False),
        ("served.chat(stream=stream, other=True)", False),
        ("'stream=True'", False),
    ],
)
def test_who_uses_a_stream(body: str, asks: bool) -> None:  # noqa: FBT001 -- a row
    """It is read from the code of a test, not from its name."""
    (test,) = ast.parse(f"def test_stream():\n    {body}").body
    assert isinstance(test, ast.FunctionDef)
    assert uses_a_stream(test) is asks


def test_settings() -> None:
    """One row a setting, in the program's order."""
    assert [row["variable"] for row in rows("Variables")] == [setting.variable for setting in SETTINGS]


def test_endpoints() -> None:
    """One row a route, each with its method."""
    proxy = Proxy(load({}))
    routes = proxy.wsgi.url_map.iter_rules()
    served = {(rule.rule, method) for rule in routes for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    proxy.gateway.close()
    assert {(row["path"], row["method"]) for row in rows("Endpoints")} == served
