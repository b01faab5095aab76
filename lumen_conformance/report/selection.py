"""Which tests run: marks by folder and module, the smoke mode of CI, and a line that says what was selected.

One scenario is selected by ``-m "scenario(n=1)"``.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry.declaration import Check, check_of

AREAS: Final = ("recovery", "contract", "operations", "matrix", "mutants", "unit")
# Where the tests of a selection live: nothing else is even imported, which takes longer than a smoke run.
HOMES: Final = {
    "smoke": {"recovery", "contract"},
    "seventeen": {"recovery"},
    "scenario": {"recovery"},
    "recovery": {"recovery"},
    "contract": {"contract"},
    "clients": {"contract"},
    "operations": {"operations"},
    "matrix": {"matrix"},
    "mutants": {"mutants"},
}
MARKERS: Final = {
    "smoke": "the quick selection for every push",
    "recovery": "real processes are killed and come back",
    "contract": "what the target says on the wire",
    "clients": "real clients talk to the target (set up by `make clients`)",
    "process": "about the launched process itself, not its wire",
    "seventeen": "the seventeen numbered checks of the four scenarios",
    "scenario(n)": "belongs to scenario n",
}
OLD_MARKERS: Final = {"twins": "mutants"}
SMOKE_VARIABLE: Final = "CI_SMOKE_MODE"
# The four scenarios and how many checks each has.
SEVENTEEN: Final = frozenset(
    f"{scenario}.{number}" for scenario, checks in ((1, 5), (2, 4), (3, 4), (4, 4)) for number in range(1, checks + 1)
)

_MODULE: Final = re.compile(r"test_(\d\d)_\w+")
_NUMBER: Final = re.compile(r"\d+\.\d+")
_ONE_SCENARIO: Final = re.compile(r"scenario\(n=(\d+)\)")
_CHOSEN_BY_CI: Final = pytest.StashKey[bool]()
_RENAMED: Final = pytest.StashKey[str]()
SELECTION: Final = pytest.StashKey[str]()  # of recorded runs: what they had selected


def area_of(path: Path, config: pytest.Config) -> str:
    """Return the folder of a test below the root of the run, or below its ``tests``; an empty text for another."""
    return _area(path, config.rootpath)


@cache  # asked several times for each test of a file
def _area(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    parts = parts[1:] if parts[:1] == ("tests",) else parts
    return parts[0] if len(parts) > 1 and parts[0] in AREAS else ""  # area, file


def scenario_of(path: Path, config: pytest.Config) -> int | None:
    """Return the number of the scenario that a module of recovery tests stages, None elsewhere."""
    found = _MODULE.fullmatch(path.stem) if area_of(path, config) == "recovery" else None
    return int(found[1]) if found else None


def smoke_is_asked_for(environ: Mapping[str, str]) -> bool:
    """Return whether CI asks for the smoke selection; raises UsageError for another value."""
    value = environ.get(SMOKE_VARIABLE, "").strip().lower()
    if value not in {"", "0", "false", "1", "true"}:
        raise pytest.UsageError(f"{SMOKE_VARIABLE}={value!r} is none of 1, true, 0, false")
    return value in {"1", "true"}


def name_of(expression: str) -> str:
    """Return the word for a ``-m`` expression: smoke, scenario 1, all; a longer expression is its own name."""
    one = _ONE_SCENARIO.fullmatch(expression.strip())
    return f"scenario {one[1]}" if one else expression.strip() or "all"


def describe(config: pytest.Config) -> str:
    """Return the selection in words, with what narrows it further."""
    if SELECTION in config.stash:
        return config.stash[SELECTION]
    expression = config.option.markexpr or ""
    why = f"{SMOKE_VARIABLE}, no -m given" if config.stash.get(_CHOSEN_BY_CI, False) else f"-m {expression!r}"
    narrower = [f"-k {config.option.keyword!r}"] if config.option.keyword else []
    narrower += ["only the tests named on the command line"] if config.args_source.name == "ARGS" else []
    if config.getoption("--progress"):  # the command: its words select, and it names the tests itself
        return f"{name_of(expression)}{f' ({narrower[0]})' if config.option.keyword else ''}"
    is_named = why.startswith("-m") and name_of(expression) == expression.strip()  # it would be said twice
    reasons = [*([] if expression and is_named else [why if expression else "no -m given"]), *narrower]
    return " ".join([name_of(expression), *([f"({', '.join(reasons)})"] if reasons else [])])


def configure(config: pytest.Config) -> None:
    """Declare the markers; select smoke where CI asks for it, unless the command line selects."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    _rename_marker(config)
    if not config.option.markexpr and smoke_is_asked_for(os.environ):
        config.option.markexpr = "smoke"
        config.stash[_CHOSEN_BY_CI] = True


def _rename_marker(config: pytest.Config) -> None:
    """Read an old name of a marker in ``-m`` as its present name."""
    for old, new in OLD_MARKERS.items():
        expression = re.sub(rf"\b{old}\b", new, config.option.markexpr or "")
        if expression != (config.option.markexpr or ""):
            config.stash[_RENAMED] = f"-m {old} is now -m {new}; the next version does not know {old}"
            config.option.markexpr = expression


def homes_of(expression: str) -> set[str] | None:
    """Return the folders that a ``-m`` expression can select from, or None for any other expression."""
    words = re.findall(r"[a-z_]+", re.sub(r"\(.*?\)", "", expression))
    if not words or set(words) - {*HOMES, "or"}:
        return None
    return set().union(*(HOMES[word] for word in words if word != "or"))


def is_ignored(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the folders that have nothing of the selection."""
    homes = homes_of(config.option.markexpr or "")
    area = area_of(collection_path / "any.py", config) if collection_path.is_dir() else ""
    return True if homes is not None and area in set(AREAS) - homes else None


def header_line(config: pytest.Config) -> str:
    """Say what is selected; parallel runs do not say what they deselect."""
    renamed = config.stash.get(_RENAMED, "")
    return f"selection: {describe(config)}" + (f"\ndeprecated: {renamed}" if renamed else "")


def size_line(config: pytest.Config, items: list[pytest.Item]) -> str:
    """Say how many tests the selection holds."""
    checks = sum(check_of(item) is not None for item in items)
    return f"selected: {len(items)} tests, {checks} of them numbered checks ({name_of(config.option.markexpr or '')})"


def refuse_misplaced(metafunc: pytest.Metafunc) -> None:
    """Refuse a smoke test that -m smoke would miss, a recovery test outside a scenario, a check of another scenario."""
    item = metafunc.definition
    area = area_of(item.path, item.config)
    if area in AREAS and area not in HOMES["smoke"] and item.get_closest_marker("smoke"):
        pytest.fail(f"{item.nodeid}: -m smoke looks into {' and '.join(sorted(HOMES['smoke']))} only", pytrace=False)
    if area != "recovery":
        return
    scenario = scenario_of(item.path, item.config)
    if scenario is None:
        pytest.fail(f"{item.nodeid}: a module of recovery tests is named test_NN_words.py", pytrace=False)
    wrong = [each.id for mark in item.iter_markers("check") for each in mark.args if not _belongs(each, scenario)]
    if wrong:
        pytest.fail(f"{item.nodeid}: {wrong[0]} is not a check of scenario {scenario}", pytrace=False)


def _belongs(found: Check, scenario: int) -> bool:
    return found.id.partition(".")[0] == str(scenario)


def mark(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by where it lives: its folder, its scenario, the seventeen."""
    for item in items:
        area = area_of(item.path, config)
        if area in AREAS and not item.get_closest_marker("clients"):  # real clients are a selection of their own
            item.add_marker(area)
        if scenario := scenario_of(item.path, config):
            item.add_marker(pytest.mark.scenario(n=scenario))
        found = check_of(item)
        if area == "recovery" and found and _number_of(found) in SEVENTEEN:
            item.add_marker("smoke")  # a scenario is staged once, so leaving one of its checks out would save nothing
            if found.id[len(_number_of(found)) :][:1] != ".":  # 1.4.words is a detail of 1.4
                item.add_marker("seventeen")


def _number_of(found: Check) -> str:
    """Return the number that the id begins with, or an empty text."""
    number = _NUMBER.match(found.id)
    return number[0] if number else ""
