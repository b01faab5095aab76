"""``--history FILE``: append one line about the run, and show on the page what changed since the earlier ones.

Only lines of the same target and the same selection are compared. A line has the tests that did not pass, also those
that never ran; all others of the selection passed or did not apply, if the line is complete. Of a run with a module
that could not be collected it is not known which tests there are.

A file without any line of a run is not a history, and is refused. A line that is no run among others, such as one that
a full disk has cut, is left out with a warning. No file changes the result of a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import pytest

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.report.result_groups import group_results
from lumen_conformance.report.results import NEVER_RAN, RESULTS, Result, Results, counts
from lumen_conformance.report.run_conditions import conditions
from lumen_conformance.report.run_result import summarize_run
from lumen_conformance.run import run_of

MOST_RUNS: Final = 30  # that are compared and drawn
LONGEST_ERROR: Final = 200  # characters
_NOT_WRONG: Final = frozenset({"passed", "skipped"})
_FAILING: Final = frozenset({"failed", "error"})

_FIRST: Final = b'{"run_id": '  # how a line begins, also one that is cut
Figure = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


@dataclass(frozen=True)
class EarlierRun:
    """One line of the file. ``wrong`` has the outcome of each test that did not pass, by its name.

    ``complete`` is whether all others passed or did not apply.
    ``scenarios`` has the headline figure of each scenario, by its number: value and unit. ``labels`` has what the
    figure is of, where it has a label. ``conditions`` are those of `run_conditions`, without the version of the suite.
    """

    run_id: str
    at: str
    conditions: dict[str, Any]
    word: str
    duration_s: Figure
    counts: dict[str, int]
    wrong: dict[str, str]
    scenarios: dict[str, tuple[Figure, str]] = field(default_factory=dict)
    complete: bool = True
    labels: dict[str, str] = field(default_factory=dict)

    def outcome(self, name: str) -> str:
        """Return the outcome of a test; passed also if it did not apply, never ran also if nothing is known."""
        return self.wrong.get(name, "passed" if self.complete else NEVER_RAN)

    def figure(self, number: str, like: Measurement) -> float | None:
        """Return the headline figure of a scenario; None if it is of something else than this one."""
        value, unit = self.scenarios.get(number, (None, ""))
        return value if (unit, self.labels.get(number, "")) == (like.unit, like.label) else None


@dataclass(frozen=True)
class History:
    """The earlier runs of the same target and selection, the oldest first."""

    runs: tuple[EarlierRun, ...] = ()
    warning: str = ""

    def is_new(self, result: Result) -> bool:
        """Return whether a test fails that did not fail when it ran last."""
        earlier = self._failed(result)
        return result.outcome in _FAILING and bool(earlier) and not earlier[-1]

    def flips(self, result: Result) -> int:
        """Return how often the test changed between passing and not passing, from run to run; 0 without two runs."""
        states = [*self._failed(result), result.outcome in _FAILING]
        return sum(one != other for one, other in pairwise(states))

    def _failed(self, result: Result) -> list[bool]:
        """Return whether a test failed in each run in which it ran, the oldest first."""
        outcomes = (each.outcome(result.name) for each in self.runs)
        return [each in _FAILING for each in outcomes if each != NEVER_RAN]

    def trend(self, number: str, headline: Measurement | None) -> list[float]:
        """Return the headline figures of a scenario, the oldest first and this run's last; empty for one figure."""
        if headline is None:
            return []
        earlier = (each.figure(number, headline) for each in self.runs)
        found = [*(each for each in earlier if each is not None), headline.value]
        return found if len(found) > 1 else []

    def durations(self, duration_s: float) -> list[float]:
        """Return the durations of the runs in seconds, the oldest first and this run's last; empty for one run."""
        return [*(each.duration_s for each in self.runs), duration_s] if self.runs else []


HISTORY: Final = pytest.StashKey[History]()


def configure(config: pytest.Config) -> None:
    """Read the earlier runs; refuse a file that cannot be written or is no history."""
    if path := _path(config):
        output_paths.refuse_unwritable("--history", path)
        config.stash[HISTORY] = _read(path)


def header_line(config: pytest.Config) -> str:
    """Return what is wrong with the file; empty if nothing is."""
    return config.stash[HISTORY].warning if HISTORY in config.stash else ""


def history_of(session: pytest.Session) -> History:
    """Return the earlier runs that can be compared with this one; none without the option."""
    every = session.config.stash.get(HISTORY, History())
    same = _conditions(session.config)
    return History(tuple(each for each in every.runs if each.conditions == same)[-MOST_RUNS:], every.warning)


def _conditions(config: pytest.Config) -> dict[str, Any]:
    """Return the conditions of a run as they are read back from a file: a new version of the suite is compared."""
    found = {name: value for name, value in conditions(config).items() if name != "suite version"}
    read: dict[str, Any] = json.loads(json.dumps(found))
    return read


def write_file(session: pytest.Session) -> None:
    """Append the line of this run, if the option is given; raises OSError, and leaves the file as it was."""
    if path := _path(session.config):
        line = json.dumps(asdict(_this_run(session)), ensure_ascii=False)
        size = path.stat().st_size if path.is_file() else 0
        begin = "" if _ends_with_a_line(path) else "\n"  # behind a line that was cut
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(f"{begin}{line}\n")
        except OSError:
            with suppress(OSError):
                os.truncate(path, size)
            raise


def _ends_with_a_line(path: Path) -> bool:
    if not (path.is_file() and path.stat().st_size):
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _path(config: pytest.Config) -> Path | None:
    return output_paths.given(config, "--history") if shared_files.reports(config) else None


def _read(path: Path) -> History:
    """Return the runs of a file, none when there is no file or a device; raises pytest.UsageError."""
    try:
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
    except OSError as error:
        raise pytest.UsageError(f"--history={path} cannot be read: {error.strerror}; name another file") from None
    found: list[EarlierRun] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            found += [_run(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:  # one of msgspec is a ValueError, too
            wrong.append(f"line {number} is no run: {' '.join(str(error).split())[:LONGEST_ERROR]}")
    if wrong and not found and not any(line.startswith(_FIRST) for line in lines):
        raise pytest.UsageError(f"--history {path}: {wrong[0]}; name a file that --history has written, or a new one")
    others = f", and {len(wrong) - 1} others" if len(wrong) > 1 else ""
    return History(tuple(found), f"history: {path}: {wrong[0]}{others}; left out" if wrong else "")


def _run(line: bytes) -> EarlierRun:
    """Return the run of a line; raises ValueError or RecursionError."""
    return msgspec.convert(json.loads(line.decode("utf-8")), EarlierRun)


def _this_run(session: pytest.Session) -> EarlierRun:
    results: Results = session.config.stash[RESULTS]
    headlines = {each.number: each.headline for each in group_results(results) if each.number and each.headline}
    return EarlierRun(
        run_id=run_of(session.config).id,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        conditions=_conditions(session.config),
        word=summarize_run(int(session.exitstatus), results).word,
        duration_s=round(results.duration_s, 3),
        counts=_counts(results),
        wrong=_wrong(results),
        complete=bool(results.expected) and not results.broken,
        scenarios={number: (round(each.value, 6), each.unit) for number, each in headlines.items()},
        labels={number: each.label for number, each in headlines.items() if each.label},
    )


def _counts(results: Results) -> dict[str, int]:
    counted = {str(word): number for word, number in counts(results.results).items()}
    return counted | ({NEVER_RAN: len(results.missing)} if results.missing else {})


def _wrong(results: Results) -> dict[str, str]:
    wrong: dict[str, str] = {each.name: each.outcome for each in results.results if each.outcome not in _NOT_WRONG}
    return wrong | {each.name: NEVER_RAN for each in results.missing}


def points(values: Sequence[float], width: float, height: float) -> str:
    """Return the points of a line through the values, from zero at the bottom to the largest at the top, for SVG."""
    top, step = max(values) or 1.0, width / (len(values) - 1)
    return " ".join(f"{place * step:.1f},{height - value / top * height:.1f}" for place, value in enumerate(values))
