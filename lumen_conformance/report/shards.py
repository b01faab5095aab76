"""``--shard K/N``: one part of a run, so that N machines share it.

A part has whole modules, as the tests of a module share what they stage. The modules are dealt out by their recorded
durations, the longest first, each to the part with the least so far. All parts use the same record of durations, which
is part of this package, so that N parts are a partition of the whole run.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.report import shared_files

DURATIONS_FILE: Final = Path(__file__).parents[1] / "durations.json"
IN_OTHER_PARTS = pytest.StashKey[frozenset[str]]()  # the selected tests of the other parts
UNKNOWN_S: Final = 1.0  # the duration of a module without a record; most modules take a second or two
_EMPTY: Final = "empty-shard"
_SHARD: Final = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


def parse(text: str) -> tuple[int, int]:
    """Return K and N; raises pytest.UsageError for anything but two whole numbers with 1 <= K <= N."""
    found = _SHARD.fullmatch(text)
    if not found or int(found[1]) > int(found[2]):
        raise pytest.UsageError(f"--shard={text!r} is invalid: expected K/N with 1 <= K <= N, such as 1/3")
    return int(found[1]), int(found[2])


def configure(config: pytest.Config) -> None:
    """Refuse an invalid value before anything is collected."""
    if (text := config.getoption("--shard")) is not None:
        parse(text)


def parts(durations_s: Mapping[str, float], number: int) -> list[list[str]]:
    """Deal modules out to parts of nearly equal durations; the same modules always come to the same parts."""
    totals_s, dealt = [0.0] * number, [list[str]() for _ in range(number)]
    for module in sorted(durations_s, key=lambda name: (-durations_s[name], name)):
        least = totals_s.index(min(totals_s))
        totals_s[least] += durations_s[module]
        dealt[least].append(module)
    return dealt


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the modules of this part."""
    text = config.getoption("--shard")
    if text is None:
        return
    part, number = parse(text)
    known_s: dict[str, float] = json.loads(DURATIONS_FILE.read_text("utf-8"))
    tests = defaultdict[str, list[pytest.Item]](list)
    for item in items:
        tests[f"{item.path.parent.name}/{item.path.name}"].append(item)
    kept = set(parts({name: known_s.get(name, UNKNOWN_S) for name in tests}, number)[part - 1])
    left = [item for name, found in tests.items() if name not in kept for item in found]
    config.hook.pytest_deselected(items=left)
    config.stash[IN_OTHER_PARTS] = frozenset(item.nodeid for item in left)
    if left and not kept:
        shared_files.publish(config, _EMPTY, text)
    items[:] = [item for name, found in tests.items() if name in kept for item in found]


def accept_empty(session: pytest.Session) -> None:
    """End an empty part with exit status 0 if another part has tests: there can be fewer modules than parts."""
    empty = bool(shared_files.published(session.config, _EMPTY))
    if empty and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK
