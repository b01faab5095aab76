"""Run all recovery scenarios in parallel by default: ``pytest -m recovery``, against our own proxy.

Most of the time of a scenario is a wait for a process. Whole files go to the parallel workers, so that a worker stages
a scenario and reads its evidence; the longest files go first, by ``durations.json``, so that the workers end at the
same time. ``-n`` and ``--dist`` of the command line win, as does what needs one process: ``-p no:xdist``, ``-s``,
``--pdb``, ``--collect-only``. A foreign server is judged serially: it may not bear two launches at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.report.shards import DURATIONS_FILE, UNKNOWN_S
from lumen_conformance.run import number_of_workers

RECOVERY: Final = "recovery"
ORDERED: Final = "lumen_longest_first"  # an attribute of the options, which parallel workers get
NARROWER: Final = ("keyword", "only", "replay", "proxy_url", "proxy_command")
ONE_PROCESS: Final = ("usepdb", "collectonly", "setupplan", "setupshow", "setuponly", "distload")


def configure(config: pytest.Config) -> None:
    """Choose the number of parallel workers, before xdist starts them and after it has read its options."""
    option = config.option
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput") or not _is_plain(config):
        return
    number = min(number_of_workers(), option.maxprocesses or number_of_workers())
    option.numprocesses, option.dist, option.tx = number, "loadfile", ["popen"] * number
    option.loadscopereorder = False  # by itself xdist begins with the files that have most tests
    setattr(option, ORDERED, True)


def order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the files, the longest first, but not the tests of a file."""
    if getattr(config.option, ORDERED, False):
        known_s: dict[str, float] = json.loads(DURATIONS_FILE.read_text("utf-8"))
        items.sort(key=lambda item: -known_s.get(f"{item.path.parent.name}/{item.path.name}", UNKNOWN_S))


def _is_plain(config: pytest.Config) -> bool:
    """Whether the command line selects all recovery scenarios, and nothing about how they run."""
    option = config.option
    chosen = option.numprocesses is not None or option.dist != "no" or option.tx or option.capture == "no"
    needs_one = any(getattr(option, name, False) for name in (*NARROWER, *ONE_PROCESS))
    named = config.args_source is pytest.Config.ArgsSource.ARGS and not all(Path(arg).is_dir() for arg in config.args)
    return (option.markexpr or "").strip() == RECOVERY and not (chosen or needs_one or named)
