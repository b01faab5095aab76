"""The options of a run beside those of the target, once: pytest and ``lumen-conformance run`` both have them.

The options of the target are `--proxy-url` and so on for pytest, and `--url` and so on for the command; messages name
them by `spelled`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

OF_PYTEST: Final = "--proxy-"
OF_COMMAND: Final = "--"
SETTING: Final = "option_prefix"  # in suite.ini, the configuration of the command
IDS: Final = "C4 means C4 and all of C4.1, C4.2, …; * stands for any text; may be repeated"


@dataclass(frozen=True)
class RunOption:
    """One option: its name, the group of pytest that has it, the name of its value, and its text."""

    name: str
    group: str
    metavar: str
    text: str
    is_list: bool = False


SELECTION: Final = (
    RunOption("--only", "lumen", "ID", f"run these checks only: {IDS}", is_list=True),
    RunOption("--skip", "lumen", "ID", f"leave these checks out: {IDS}", is_list=True),
    RunOption("--shard", "lumen", "K/N", "run part K of N parts of the selection; merge joins their reports"),
)
BASELINE: Final = (
    RunOption(
        "--baseline",
        "report",
        "FILE",
        "known failures, one line each: check id, reason; they do not fail the run, and one that passes does",
    ),
    RunOption(
        "--write-baseline",
        "report",
        "FILE",
        "write the failures to FILE, for --baseline; an existing FILE must be that of --baseline, and is updated",
    ),
)
FILES: Final = (
    RunOption("--verdicts", "report", "FILE", "write one JSON line for each check to FILE"),
    RunOption(
        "--summary",
        "report",
        "FILE",
        "write to FILE, as JSON: the result, the results of the layers, the exit status and the layer that it follows, "
        "counts, causes",
    ),
    RunOption(
        "--history",
        "report",
        "FILE",
        "append one line about the run to FILE, and show what changed",
    ),
    RunOption("--record", "report", "FILE", "write everything that the report is made of to FILE"),
    RunOption(
        "--github-summary",
        "report",
        "FILE",
        "append a Markdown summary to FILE; for our own proxy print annotations",
    ),
)
BODIES: Final = (
    RunOption(
        "--keep-bodies",
        "report",
        "DIR",
        "keep all bytes of the bodies that the report cuts, without secrets, as files in a new folder of DIR",
    ),
)
TEXTS: Final = {each.name: each.text for each in (*SELECTION, *BASELINE, *FILES)}

_prefix = OF_PYTEST


def add_options(parser: pytest.Parser) -> None:
    """Add the options to pytest."""
    parser.addini(SETTING, "how messages begin the names of the options of the target", default=OF_PYTEST)
    for each in (*SELECTION, *BASELINE, *FILES, *BODIES):
        action = "append" if each.is_list else "store"
        parser.getgroup(each.group).addoption(each.name, action=action, metavar=each.metavar, help=each.text)


def configure(config: pytest.Config) -> None:
    """Name the options in messages as the user of this run does."""
    global _prefix
    before, _prefix = _prefix, config.getini(SETTING)

    def restore() -> None:
        global _prefix  # noqa: PLW0603 -- same
        _prefix = before

    config.add_cleanup(restore)


def spelled(name: str) -> str:
    """Return the option of the target with this name, as the user of this run writes it."""
    return f"{_prefix}{name}"


def spelled_for_command(text: str) -> str:
    """Return a text for pytest with the options of the command."""
    return text.replace(OF_PYTEST, OF_COMMAND)
