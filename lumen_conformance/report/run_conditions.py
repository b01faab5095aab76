"""What the parts of one run have in common beside the baseline: target, selection and version of the suite.

The values are readable, and have no secrets. Everything that changes what a check measures, or which checks run,
belongs here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

import lumen_conformance
from lumen_conformance.registry.redaction import redactor

Conditions = Mapping[str, Any]
OF_TARGET: Final = pytest.StashKey[dict[str, Any]]()
LISTS: Final = ("only", "skip", "deselect", "ignore", "ignore_glob")  # options that select tests
LONGEST: Final = 300  # characters of a value in an error: one line


def conditions(config: pytest.Config) -> dict[str, Any]:
    """Return the conditions of a run, by the names that errors have."""
    selection = {"-m": config.option.markexpr or "", "-k": config.option.keyword or ""}
    lists = {f"--{name.replace('_', '-')}": sorted(map(str, config.getoption(name, None) or ())) for name in LISTS}
    of_target = config.stash.get(OF_TARGET, None) or {}
    shown: dict[str, Any] = redactor().deep({**of_target, **selection, **lists, "paths": _paths(config)})
    return {"suite version": lumen_conformance.__version__, **shown}


def _paths(config: pytest.Config) -> list[str]:
    """Return the paths on the command line, relative to the root, as other machines have another root."""
    if config.args_source.name != "ARGS":
        return []
    root = config.rootpath
    paths = [Path(config.invocation_params.dir, arg) for arg in config.args]
    return sorted(os.path.relpath(each, root) if each.is_relative_to(root) else str(each) for each in paths)


def difference(one: Conditions, other: Conditions) -> list[tuple[str, str, str]]:
    """Return the names of the values in which two runs differ, each with both values."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    texts = {name: [json.dumps(each.get(name), ensure_ascii=False) for each in (one, other)] for name in names}
    return [(name, *_shortened(*found)) for name, found in texts.items()]


def _shortened(one: str, other: str) -> tuple[str, str]:
    """Return both texts, or, if one is long, the parts of them around the first character that differs."""
    if max(len(one), len(other)) <= LONGEST:
        return one, other
    same = next((at for at, (mine, its) in enumerate(zip(one, other, strict=False)) if mine != its), 0)
    start = max(0, same - LONGEST // 2)
    end = start + LONGEST
    first, second = (f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}" for text in (one, other))
    return first, second
