"""A stage runs once in a run, whatever xdist does, and its fate is the fate of every check of it."""

from pathlib import Path

import pytest

PLUGINS = ("report.measuring", "run", "guard", "targets", "audit")
SUITE = """
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
import pytest
from tests.fixtures.evidence import stage

@dataclass(frozen=True)
class Seen:
    nonce: bytes
    pids: tuple[int, ...]

@stage(scenario=1)
def told(folder: Path) -> Seen:
    with Path(os.environ["TALLY"]).open("a") as tally:
        tally.write("told\\n")
    {act}
    return Seen(os.urandom(4), (1, 2))

@pytest.mark.parametrize("number", range(6))
def test_reads(told: Seen, number: int) -> None:
    assert len(told.nonce) == 4 and told.pids == (1, 2)
    with Path(os.environ["TALLY"]).with_name("nonces").open("a") as nonces:
        nonces.write(told.nonce.hex() + "\\n")
"""


class Nested:
    """A pytest of its own that counts how often a stage was told."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tally = pytester.path / "tally"
        monkeypatch.setenv("TALLY", str(self.tally))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")
        self._pytester = pytester

    def run(self, suite: str, *options: str) -> pytest.RunResult:
        """Run a suite with the plugins of the harness."""
        self._pytester.makepyfile(suite)
        plugins = [word for name in PLUGINS for word in ("-p", f"tests.fixtures.{name}")]
        return self._pytester.runpytest_subprocess(*plugins, "-p", "no:randomly", *options)

    def told(self) -> int:
        """How often."""
        return len(self.tally.read_text().splitlines())


@pytest.fixture
def nested(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Nested:
    """A pytest of its own."""
    return Nested(pytester, monkeypatch)


MODES = ["load", "loadfile", "loadscope", "loadgroup", "worksteal"]


@pytest.mark.parametrize("options", [("-n0",), *(("-n2", "--dist", mode) for mode in MODES)], ids=["alone", *MODES])
def test_staged_once(nested: Nested, options: tuple[str, ...]) -> None:
    """Six checks on any number of workers read one record."""
    nested.run(SUITE.format(act=""), *options).assert_outcomes(passed=6)
    assert nested.told() == 1
    assert len(set(nested.tally.with_name("nonces").read_text().splitlines())) == 1


def test_staged_once_where_each_worker_runs_each_test(nested: Nested) -> None:
    """Even ``--dist each`` stages once, and judges twice."""
    nested.run(SUITE.format(act=""), "-n2", "--dist", "each").assert_outcomes(passed=12)
    assert nested.told() == 1


@pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "two-workers"])
def test_failed_stage_is_never_tried_again(nested: Nested, options: tuple[str, ...]) -> None:
    """Every check is an ERROR that shows where the stage failed."""
    result = nested.run(SUITE.format(act="raise ValueError('the stage broke')"), *options)
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines(["*raise ValueError('the stage broke')*", "*ValueError: the stage broke*"])
    assert nested.told() == 1


def test_crashed_stage_is_never_tried_again(nested: Nested) -> None:
    """A worker is killed in the middle of a stage: one test crashed, and the other checks are ERRORs that say so."""
    result = nested.run(SUITE.format(act="os.kill(os.getpid(), 9)"), "-n2")
    result.assert_outcomes(failed=1, errors=5)
    result.stdout.fnmatch_lines(["*told crashed on gw?:*", "*ended in the middle of it*"])
    assert nested.told() == 1


def test_next_run_stages_anew(nested: Nested) -> None:
    """A record of an earlier run is never read, even in the same place."""
    for _ in range(2):
        nested.run(SUITE.format(act=""), "--evidence-dir", "kept").assert_outcomes(passed=6)
    assert nested.told() == 2


def test_skipped_stage_skips_its_checks(nested: Nested) -> None:
    """A stage that cannot be told here says why, once."""
    nested.run(SUITE.format(act="pytest.skip('no such thing here')"), "-n2").assert_outcomes(skipped=6)
    assert nested.told() == 1


def test_each_variant_is_staged_once(nested: Nested) -> None:
    """A stage with variants gives each its own record, and an id in words."""
    suite = SUITE.format(act="assert variant > 0").replace("folder: Path", "folder: Path, variant: int")
    result = nested.run(suite.replace("scenario=1", "scenario=1, variants={'one': 1, 'zero': 0}"), "-n2", "-v")
    result.assert_outcomes(passed=6, errors=6)
    assert nested.told() == 2
