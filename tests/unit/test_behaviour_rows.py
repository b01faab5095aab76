"""Every row of every table of `docs/behaviour.md` names tests that exist, and the tables are those of the program."""

from __future__ import annotations

import pytest

from lumen_proxy.config import SETTINGS, load
from lumen_proxy.worker.app import Proxy
from tests.unit.behaviour import known, rows, streamed, tables
from tests.unit.guides import GUIDES

NOT_BUILT = {"LUMEN_STANDBY", "LUMEN_WATCHDOG_S"}  # read and passed on, without an effect yet: their rows say so


@pytest.mark.parametrize("heading", tables())
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
            for name in row.get("streamed", "").split():
                assert "::" in name or name == "–" or name in streamed(), (row, name)


def test_settings() -> None:
    """One row a setting, in the program's order."""
    assert [row["variable"] for row in rows("Settings")] == [setting.variable for setting in SETTINGS]


def test_what_is_not_built_is_said() -> None:
    """A setting without an effect is called so, wherever settings are listed."""
    assert {row["variable"] for row in rows("Settings") if "no effect yet" in row["meaning"]} == NOT_BUILT
    for language, words in (("en", "no effect yet"), ("ko", "아직 효과 없음")):
        table = GUIDES[language].table(first="`LUMEN_GATEWAY_URL`")
        assert {row[0].strip("`") for row in table if words in row[3]} == NOT_BUILT


def test_endpoints() -> None:
    """One row a route, each with its method."""
    proxy = Proxy(load({}))
    routes = proxy.wsgi.url_map.iter_rules()
    served = {(rule.rule, method) for rule in routes for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    proxy.gateway.close()
    assert {(row["path"], row["method"]) for row in rows("Endpoints")} == served
