"""Refuse a run because of what parallel workers have found: a worker cannot end the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from lumen_conformance.report import shared_files

_NAME: Final = "refused"


@contextmanager
def published(config: pytest.Config) -> Iterator[None]:
    """In a parallel worker, publish a usage error instead of raising it."""
    try:
        yield
    except pytest.UsageError as error:
        if shared_files.reports(config):
            raise
        shared_files.publish(config, _NAME, str(error))


def refuse(config: pytest.Config) -> None:
    """Raise the pytest.UsageError that a worker has published."""
    if found := shared_files.published(config, _NAME):
        raise pytest.UsageError(found[0])
