"""Which records make one report: all parts of a run, or several systems, each with its own baseline."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations

import pytest

from lumen_conformance.report import shards
from lumen_conformance.report.recorded_run import Record
from lumen_conformance.report.run_conditions import Conditions, difference


def labelled(records: list[Record]) -> list[Record]:
    """Return the records, labelled by their folders if their tests or baselines would be mixed.

    Raises pytest.UsageError for records that make no report.
    """
    _refuse_repeated(records)
    _refuse_incomplete(records)
    _refuse_same_run(records)
    if len({tuple(record.run["reported_only"]) for record in records}) > 1:
        raise pytest.UsageError("the records have different profiles: merge those of --profile lumen by themselves")
    mixed = _repeated(records) or _share_checks(records)
    records = [record.with_label(record.name if mixed else "") for record in records]
    if twice := _repeated(records):
        raise pytest.UsageError(f"two records have the test {twice}: give their folders different names")
    return records


def _refuse_repeated(records: list[Record]) -> None:
    """Raise pytest.UsageError for a file that is given twice."""
    counted = Counter(record.path for record in records)
    if twice := [path for path, number in counted.items() if number > 1]:
        raise pytest.UsageError(f"{twice[0]} is given twice: give each record once")


def _refuse_same_run(records: list[Record]) -> None:
    """Raise pytest.UsageError for a copy of a record: its tests would count twice."""
    first: dict[tuple[str, str | None], Record] = {}
    for record in records:
        other = first.setdefault((record.run["run_id"], record.run["shard"]), record)
        if other is not record:
            raise pytest.UsageError(f"{other.path} and {record.path} are records of the same run: give each run once")


def _refuse_incomplete(records: list[Record]) -> None:
    """Raise pytest.UsageError unless the records with the same conditions are all parts of a run, or of several.

    Several systems may differ in their conditions, the parts of one run may not.
    """
    shards_given = {record.run["shard"] for record in records}
    if shards_given == {None}:
        return
    numbers = {shards.parse(text)[1] if text else 0 for text in shards_given}
    if len(numbers) > 1:
        raise pytest.UsageError(
            "the records are parts of different runs: give all parts of one run (--shard K/N, the same N)"
        )
    (number,) = numbers
    runs = defaultdict[str, list[Record]](list)
    for record in records:
        runs[json.dumps(_conditions(record), sort_keys=True)].append(record)
    incomplete = [found for found in runs.values() if not _is_complete(found, number)]
    if len(incomplete) > 1:
        raise pytest.UsageError(_describe_difference(incomplete))
    if incomplete:
        raise pytest.UsageError(_describe_parts(incomplete[0], number))


def _conditions(record: Record) -> Conditions:
    """Return what all parts of a run have in common."""
    return {**record.run["conditions"], "baseline": record.run["baseline"]}


def _is_complete(records: list[Record], number: int) -> bool:
    """Return whether each part is given, as often as the others."""
    counted = Counter(record.run["shard"] for record in records)
    return len(counted) == number and len(set(counted.values())) == 1


def _describe_difference(runs: list[list[Record]]) -> str:
    """Return the error of parts of different runs: the two that differ least, and the values in which they differ."""
    firsts = [found[0] for found in runs]
    found = {
        (one.path, other.path): difference(_conditions(one), _conditions(other))
        for one, other in combinations(firsts, 2)
    }
    (one, other), values = min(found.items(), key=lambda item: len(item[1]))
    shown = "; ".join(f"{name} is {first} and {second}" for name, first, second in values)
    return f"{one} and {other} are parts of different runs: {shown}; run all parts with the same options"


def _describe_parts(records: list[Record], number: int) -> str:
    """Return the error of parts that are missing, or given more often than others."""
    files = defaultdict[str, list[str]](list)
    for record in records:
        files[record.run["shard"]].append(str(record.path))
    missing = [part for part in (f"{each}/{number}" for each in range(1, number + 1)) if part not in files]
    often = {part: found for part, found in sorted(files.items()) if len(found) > min(map(len, files.values()))}
    if not often and len(records) > len(files):
        often = dict(files)
    errors = [f"shard {part} is given {len(found)} times, by {' and '.join(found)}" for part, found in often.items()]
    errors += [f"shard {', '.join(missing)} is missing"] * bool(missing)
    return f"{'; '.join(errors)}: give the records of all {number} parts, each once"


def _repeated(records: Iterable[Record]) -> str | None:
    """Return a test that two records have, or None."""
    nodeids = Counter(each.nodeid for record in records for each in record.entries)
    return next((nodeid for nodeid, number in nodeids.items() if number > 1), None)


def _share_checks(records: Iterable[Record]) -> bool:
    """Return whether records with different baselines have rows of the same check."""
    baselines = defaultdict[str, set[str]](set)
    for record in records:
        for each in record.entries:
            if each.check_id:
                baselines[each.check_id].add(json.dumps(record.run["baseline"], sort_keys=True))
    return any(len(found) > 1 for found in baselines.values())
