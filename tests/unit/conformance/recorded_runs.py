"""Change and join the records of runs."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from tests.fixtures.nested_pytest import NestedPytest, NestedRun


def change(record: Path, folder: Path, **fields: object) -> Path:
    """Return a copy of a record with other fields of its run, or other values of its conditions."""
    head, _, lines = record.read_text("utf-8").partition("\n")
    folder.mkdir(parents=True)
    before = json.loads(head)["run"]
    conditions = before["conditions"] | fields.pop("conditions", {})
    fields = {"run_id": uuid.uuid4().hex} | fields
    run = json.dumps({"run": before | fields | {"conditions": conditions}})
    (folder / "record.jsonl").write_text(f"{run}\n{lines}", "utf-8")
    return folder / "record.jsonl"


def merge(folder: Path, *records: Path) -> NestedRun:
    """Join these records into one report."""
    (folder / "tests").mkdir(parents=True)
    return NestedPytest(folder).run("--junit-xml=junit.xml", *(f"--replay={path}" for path in records))
