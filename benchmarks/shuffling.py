"""A pytest plugin: modules in a random order, and the tests of each; ``SHUFFLE_SEED`` repeats an order."""

from __future__ import annotations

import os
import random

import pytest

SEED = int(os.environ["SHUFFLE_SEED"])


def pytest_report_header() -> str:
    """Say how this order is repeated."""
    return f"shuffled: SHUFFLE_SEED={SEED}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle; the tests of a module stay together, or each of them would launch its proxies anew."""
    chance = random.Random(SEED)  # noqa: S311 -- an order, no secret
    places = {path: chance.random() for path in sorted({item.path for item in items})}
    chance.shuffle(items)
    items.sort(key=lambda item: places[item.path])
