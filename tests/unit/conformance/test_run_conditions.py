"""The parts of one run have the same target, the same selection and the same version of the suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import stage_foreign
from tests.unit.conformance.recorded_runs import change, merge

MODULES = {
    f"contract/test_{word}.py": f'''
        """A module."""
        @check("{check}")
        def test_{word}():
            """It holds."""
    '''
    for word, check in {"one": "C1.1", "two": "F1.2"}.items()
}
HIDDEN = "plugh-of-this-option"
# The name of a value: the option of the second part, and both values.
DIFFERENT = {
    "target": ("--proxy-command=server own-404", '"server" and "server own-404"'),
    "model": ("--proxy-model=big", '"gpt-4o-mini" and "big"'),
    "capabilities": ("--proxy-can=n", '["launch"] and ["launch", "n"]'),
    "health path": ("--proxy-health-path=/ready", '"/health" and "/ready"'),
    "time limit of an answer (s)": ("--proxy-timeout=20", "60.0 and 20.0"),
    "time limit of a start (s)": ("--proxy-start-timeout=20", "60.0 and 20.0"),
    "key": (f"--proxy-api-key={HIDDEN}", '"none" and "given"'),
    "names of headers": (f"--proxy-header=X-Team: {HIDDEN}", '[] and ["X-Team"]'),
    "names of variables": (f"--proxy-env=TEAM={HIDDEN}", '[] and ["TEAM"]'),
    "profile": ("--proxy-profile=lumen", '"openai" and "lumen"'),
    "-m": ("-mcontract", '"" and "contract"'),
    "-k": ("-kone or two", '"" and "one or two"'),
    "--only": ("--only=C1", '[] and ["C1"]'),
    "--skip": ("--skip=C1", '[] and ["C1"]'),
    "paths": ("tests/contract", '[] and ["tests/contract"]'),
}


def record(folder: Path, *arguments: str) -> Path:
    """Run a part; return its record."""
    ended = stage_foreign(folder, MODULES, "--record=record.jsonl", *arguments)
    assert ended.status == pytest.ExitCode.OK, ended.output
    return folder / "record.jsonl"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of the first part."""
    return record(tmp_path_factory.mktemp("first"), "--shard=1/2")


@pytest.mark.parametrize("name", DIFFERENT, ids=lambda name: name.strip("-").replace(" ", "-"))
def test_a_part_of_another_run_is_refused(first: Path, tmp_path: Path, name: str) -> None:
    """Two parts that ran under different conditions are refused; the error has the name and both values, no secret."""
    option, values = DIFFERENT[name]
    second = record(tmp_path / "second", "--shard=2/2", option)
    refused = merge(tmp_path / "joined", first, second)
    assert (refused.status, f"{name} is {values}" in refused.output) == (4, True), refused.output
    assert HIDDEN not in second.read_text("utf-8")


def test_parts_on_two_machines(first: Path, tmp_path: Path) -> None:
    """Parts that ran in different folders with the same options are one run; of another version they are not."""
    second = record(tmp_path / "second", "--shard=2/2")
    assert merge(tmp_path / "joined", first, second).status == pytest.ExitCode.OK
    other = change(second, tmp_path / "other", conditions={"suite version": "0.0.1"})
    refused = merge(tmp_path / "refused", first, other)
    assert (refused.status, '"0.0.1"' in refused.output) == (4, True), refused.output
