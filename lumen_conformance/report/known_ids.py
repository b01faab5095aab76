"""Refuse ids that no check has: those of options, and those of a baseline where a run collects a part of the checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import lumen_conformance
from lumen_conformance import suites
from lumen_conformance.registry.declaration import check_of, parameters_of

_CATALOGUE: Final = Path(lumen_conformance.__file__).with_name("catalogue.json")  # every check of both suites


def names(check_id: str, parameters: str) -> tuple[str, ...]:
    """Return the ids that list a check: with its parameters, and for all parameters."""
    return (f"{check_id}-{parameters}", check_id) if parameters else (check_id,)


def find_unknown(config: pytest.Config, listed: Mapping[str, str], items: list[pytest.Item]) -> list[str]:
    """Return the listed ids that no check has. Checks that this run does not collect exist too."""
    checks = [(found.id, parameters_of(item, found)) for item in items if (found := check_of(item))]
    collected = {name for check_id, parameters in checks for name in names(check_id, parameters)}
    strange = [name for name in listed if name not in collected]
    if not strange:
        return []
    single = any("::" in arg for arg in config.args)  # not all rows of a check are collected
    if any(item.path.is_relative_to(suites.folder()) for item in items):
        others = {each["id"] for each in json.loads(_CATALOGUE.read_text("utf-8"))}
        others -= set() if single else {check_id for check_id, _ in checks}
        return [name for name in strange if not any(name == each or name.startswith(f"{each}-") for each in others)]
    whole = {Path(arg).resolve() for arg in config.args} <= {config.rootpath, config.rootpath / "tests"}
    kinds = {check_id[0].isdigit() for check_id, _ in checks}  # ids of recovery tests, such as 1.3, and other ids
    return [name for name in strange if whole and name[0].isdigit() in kinds]  # other suites have no catalogue
