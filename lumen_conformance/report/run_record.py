"""``--record FILE``: everything that a report is made of, so that `replay` can join the reports of several runs.

The file has one JSON object a line: first the run, then each collected test, then each exchange, which the reports name
by its place, then each report of a phase as pytest sends it between processes. Paths of evidence below the folder of
the file are relative to that folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.measurement import EVIDENCE, EXCHANGE, REPORTED_ONLY
from lumen_conformance.report import exchange_evidence, output_paths, shared_files
from lumen_conformance.report.baseline import BASELINE, BASELINE_FILES, PARTLY_SELECTED, in_part
from lumen_conformance.report.results import RESULTS
from lumen_conformance.report.run_conditions import conditions
from lumen_conformance.report.selection import describe
from lumen_conformance.report.under_test import OPTIONS, TARGET
from lumen_conformance.run import run_of

VERSION: Final = 4  # of the format of the file


class RunRecorder:
    """Writes the file of one run."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._reports: list[dict[str, Any]] = []
        self._exchanges: dict[str, int] = {}  # each once: many checks are about the same

    def add_report(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Keep one phase of a test, or a module that could not be collected."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        data.pop("node", None)  # the object of xdist for the worker that sent it
        data["user_properties"] = [self._recorded(*each) for each in data.get("user_properties", ())]
        self._reports.append(data)

    def _recorded(self, name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 -- whatever a check recorded
        """A path of evidence below the folder of the file, relative to it; the place of an exchange."""
        if name == EXCHANGE:
            text = json.dumps(exchange_evidence.with_files(value, self._below), ensure_ascii=False)
            return name, self._exchanges.setdefault(text, len(self._exchanges))
        return name, self._below(Path(value)) if name == EVIDENCE else value

    def _below(self, path: Path) -> str:
        """Return a path relative to the folder of the file, if it is below it."""
        folder = self._path.resolve().parent
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)

    def write(self, session: pytest.Session) -> None:
        """Write the file."""
        results, baseline = self._config.stash[RESULTS], self._config.stash[BASELINE]
        reported_only = self._config.stash.get(REPORTED_ONLY, frozenset("W"))
        head = {
            "version": VERSION,
            "run_id": run_of(self._config).id,
            "conditions": conditions(self._config),
            "shard": self._config.getoption("--shard"),
            "selection": describe(self._config),
            "baseline": dict(baseline),
            "baseline_file": next(iter(self._config.stash[BASELINE_FILES].values()), ""),
            "partly_selected": sorted(in_part(self._config, PARTLY_SELECTED)),
            "target": self._config.stash.get(TARGET, None),
            "target_options": self._config.stash.get(OPTIONS, ""),
            "reported_only": sorted(reported_only),
            "exit_status": int(session.exitstatus),
            "duration_s": round(results.duration_s, 3),
            "expected": sorted(results.expected),
        }
        lines: list[dict[str, Any]] = [{"test": asdict(each)} for each in results.entries.values()]
        lines += [{"exchange": json.loads(each)} for each in self._exchanges]
        lines += [{"report": each} for each in self._reports]
        written = [{"run": head | {"lines": len(lines)}}, *lines]  # a file that was cut has fewer
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in written)
        self._path.write_text(text, "utf-8", "backslashreplace", "\n")


RECORDER: Final = pytest.StashKey[RunRecorder]()


def configure(config: pytest.Config) -> None:
    """Write the record in the process that reports."""
    if shared_files.reports(config) and (path := output_paths.given(config, "--record")):
        output_paths.refuse_unwritable("--record", path)
        config.stash[RECORDER] = RunRecorder(config, path)


def write_file(session: pytest.Session) -> None:
    """Write the record, if one is asked for."""
    if recorder := session.config.stash.get(RECORDER, None):
        recorder.write(session)
