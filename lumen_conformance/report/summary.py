"""``--summary FILE``: write the result of a run as one JSON object."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.report.causes import causes_of
from lumen_conformance.report.layers import deciding_layer, layer_results
from lumen_conformance.report.results import NEVER_RAN, OUTCOMES, RESULTS, counts
from lumen_conformance.report.run_result import summarize_run
from lumen_conformance.report.under_test import TARGET

NOT_COLLECTED: Final = "not_collected"  # modules


def configure(config: pytest.Config) -> None:
    """Refuse a file that cannot be written."""
    if path := _path(config):
        output_paths.refuse_unwritable("--summary", path)


def write_file(session: pytest.Session) -> None:
    """Write the file, if the option is given."""
    if path := _path(session.config):
        path.write_text(
            f"{json.dumps(summary(session), ensure_ascii=False, indent=2)}\n", "utf-8", "backslashreplace", "\n"
        )


def summary(session: pytest.Session) -> dict[str, Any]:
    """Return the results, the counts and the causes of a run."""
    results = session.config.stash[RESULTS]
    count = counts(results.results)
    return {
        "target": session.config.stash.get(TARGET, None),
        "word": summarize_run(int(session.exitstatus), results).word,
        "exit_status": int(session.exitstatus),
        "layers": layer_results(session.config, results),
        "exit_status_follows": deciding_layer(session.config),
        "counts": {outcome: count[outcome] for outcome in OUTCOMES}
        | {NEVER_RAN: len(results.missing), NOT_COLLECTED: len(results.broken)},
        "causes": [asdict(each) for each in causes_of(results.results)],
    }


def _path(config: pytest.Config) -> Path | None:
    return output_paths.given(config, "--summary") if shared_files.reports(config) else None
