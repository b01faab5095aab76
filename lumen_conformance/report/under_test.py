"""What is under test, in words; whoever launches it may set them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Final

import pytest

from lumen_conformance.registry.option_table import OF_COMMAND, spelled
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report.entries import ReportEntry

TARGET: Final = pytest.StashKey[str]()
OPTIONS: Final = pytest.StashKey[str]()
"""The options of a foreign target, as the command has them."""
_OPTION: Final = re.compile(r"""'[^']*'|"[^"]*"|(?<!\S)--(?=[a-z])""")  # not in a quoted value
OUR_PROXY: Final = "lumen-proxy of this repository"


def describe_target(config: pytest.Config) -> str:
    """Return the target, and the mutation that is in it."""
    mutation = config.getoption("mutation", None)
    name = redactor().text(config.stash.get(TARGET, OUR_PROXY))
    return f"{name}, with the mutation {mutation}" if mutation else name


def repeat_command(config: pytest.Config, entries: Iterable[ReportEntry]) -> str:
    """Return the command that runs checks or tests again, without what may be secret of a target."""
    options = {each.plain_name: "--only " * bool(each.check_id) for each in entries}
    words = [f"{option}{shlex.quote(name)}" for name, option in options.items()]
    if TARGET not in config.stash:
        mutation = config.getoption("mutation", None)
        return " ".join(["python -m pytest", *words, *([f"--mutation={mutation}"] if mutation else [])])
    program = "lumen-conformance run all" if spelled("") == OF_COMMAND else "python -m pytest"
    return " ".join([program, *words, _as_used(config.stash.get(OPTIONS, "…"))])


def _as_used(options: str) -> str:
    """Return the options of the command as the user of this run writes them."""
    return _OPTION.sub(lambda found: spelled("") if found[0] == OF_COMMAND else found[0], options)
