"""Which stories can be told of a foreign target: a killed worker, a taken port, its daily work. The rest is our own."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
OF_ANY_TARGET = {1, 2, 4}


@pytest.hookimpl(tryfirst=True)  # before the target is asked whether it can
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what each recovery test needs of its target; stories of our own are told by its journal."""
    for item in items:
        if item.path.is_relative_to(HERE):
            number = int(item.path.stem.split("_")[1])  # test_01_words: the name is held to this form elsewhere
            item.add_marker(pytest.mark.needs("launch" if number in OF_ANY_TARGET else "journal"))
