"""Some scenarios run against any launched target; the others need our own proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen_conformance.registry.declaration import refuse_without_source

HERE = Path(__file__).parent
ANY_TARGET_SCENARIOS = {1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 18, 19}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse a check without a source."""
    if metafunc.definition.path.is_relative_to(HERE):
        refuse_without_source(metafunc)


@pytest.hookimpl(tryfirst=True)  # before the plugin reads these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each recovery test with the capability that it needs; only our own proxy has a journal."""
    for item in items:
        if item.path.is_relative_to(HERE):
            number = int(item.path.stem.split("_")[1])  # test_01_name
            item.add_marker(pytest.mark.needs("launch" if number in ANY_TARGET_SCENARIOS else "journal"))
