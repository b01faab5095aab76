"""Which records make one report: all parts of a run, or several systems, each with its own baseline."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import pytest

from lumen_conformance.report import shards
from lumen_conformance.report.recorded_run import Record

# What all parts of a run have in common; its name, with that in errors.
_COMMON: Final = {
    "selection": "selections",
    "reported_only": "profiles",
    "suite_version": "versions of the suite",
    "baseline": "baselines",
}


def labelled(records: list[Record]) -> list[Record]:
    """Return the records, labelled by their folders if their tests or baselines would be mixed.

    Raises pytest.UsageError for records that make no report.
    """
    _refuse_incomplete(records)
    for field, plural in _COMMON.items():
        _refuse_mixed(records, field, plural)
    if len({tuple(record.run["reported_only"]) for record in records}) > 1:
        raise pytest.UsageError("the records have different profiles: merge those of --profile lumen by themselves")
    mixed = _repeated(records) or _share_checks(records)
    records = [record.with_label(record.folder.name if mixed else "") for record in records]
    if twice := _repeated(records):
        raise pytest.UsageError(f"two records have the test {twice}: give their folders different names")
    return records


def _refuse_incomplete(records: list[Record]) -> None:
    """Raise pytest.UsageError unless each part of a run is given, as often as the others."""
    parts = Counter(record.run["shard"] for record in records)
    if set(parts) == {None}:
        return
    numbers = {shards.parse(text)[1] if text else 0 for text in parts}
    if len(numbers) > 1:
        raise pytest.UsageError(
            "the records are parts of different runs: give all parts of one run (--shard K/N, the same N)"
        )
    (number,) = numbers
    most = max(parts.values())
    missing = [f"{part}/{number}" for part in range(1, number + 1) if parts[f"{part}/{number}"] < most]
    if missing:
        raise pytest.UsageError(f"shard {', '.join(missing)} is missing: give the records of all {number} parts")


def _refuse_mixed(records: list[Record], field: str, plural: str) -> None:
    """Raise pytest.UsageError if the records with the same value are no complete runs."""
    runs = defaultdict[str, Counter[str | None]](Counter)
    for record in records:
        runs[_value(record, field)][record.run["shard"]] += 1
    parts = {record.run["shard"] for record in records}
    if parts == {None} or len(runs) == 1:
        return
    if any(set(found) != parts or len(set(found.values())) > 1 for found in runs.values()):
        shown = {_value(record, field): record.folder.name for record in records}
        folders = " and ".join(sorted(shown.values())[:2])
        raise pytest.UsageError(
            f"the parts in {folders} have different {plural}: expected one run; run all parts with the same options"
        )


def _value(record: Record, field: str) -> str:
    return json.dumps(record.run.get(field), sort_keys=True)


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
                baselines[each.check_id].add(_value(record, "baseline"))
    return any(len(found) > 1 for found in baselines.values())
