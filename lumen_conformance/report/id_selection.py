"""``--only ID`` and ``--skip ID``: which checks run, by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

import pytest

from lumen_conformance.registry import old_ids
from lumen_conformance.registry.declaration import Check, check_of, parameters_of

_OPTIONS: Final = ("--only", "--skip")


def configure(config: pytest.Config) -> None:
    """Take the present form of ids that are given in their old form."""
    for name in ("only", "skip"):
        given = [old_ids.accept(config, each) for each in getattr(config.option, name) or []]
        setattr(config.option, name, given)


def is_meant(names: Iterable[str], pattern: str) -> bool:
    """Return whether a pattern means a check that has one of these names."""
    below = (f"{pattern}.",) if "-" in pattern else (f"{pattern}.", f"{pattern}-")  # F2-a is not F2-a-b
    return any(name == pattern or name.startswith(below) or fnmatchcase(name, pattern) for name in names)


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is not meant; refuse an id that no collected check has."""
    only, skip = (config.getoption(option) or [] for option in _OPTIONS)
    if not only and not skip:
        return
    named = [(item, _names(item)) for item in items]
    unknown = [each for each in (*only, *skip) if not any(is_meant(names, each) for _, names in named)]
    if unknown:
        raise pytest.UsageError(
            f"--only, --skip: no check has the id {', '.join(unknown)}: expected ids as `lumen-conformance list` "
            "prints them; correct or remove them"
        )
    kept = [item for item, names in named if _is_kept(names, only, skip)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _is_kept(names: Sequence[str], only: list[str], skip: list[str]) -> bool:
    wanted = not only or any(is_meant(names, each) for each in only)
    return wanted and not any(is_meant(names, each) for each in skip)


def _names(item: pytest.Item) -> tuple[str, ...]:
    found: Check | None = check_of(item)
    if found is None:
        return ()
    parameters = parameters_of(item, found)
    return (found.id, f"{found.id}-{parameters}") if parameters else (found.id,)
