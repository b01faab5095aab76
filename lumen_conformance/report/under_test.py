"""What is under test, in words; whoever launches it may set them."""

from __future__ import annotations

from typing import Final

import pytest

from lumen_conformance.registry.redaction import redactor

TARGET: Final = pytest.StashKey[str]()
OUR_PROXY: Final = "lumen-proxy of this repository"


def describe_target(config: pytest.Config) -> str:
    """Return the target, and the mutation that is in it."""
    mutation = config.getoption("mutation", None)
    name = redactor().text(config.stash.get(TARGET, OUR_PROXY))
    return f"{name}, with the mutation {mutation}" if mutation else name
