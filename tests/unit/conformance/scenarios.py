"""A scenario of recovery that is staged and judged in the process of the test.

A nested run of pytest takes longer than the scenario; only some tests need one.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from _pytest.outcomes import Skipped

from lumen_conformance.registry import NotJudged
from lumen_conformance.registry.refutation import Refuted
from lumen_conformance.run import Run
from lumen_conformance.stages.stage_resources import StageResources
from lumen_conformance.targets.target import Target


@dataclass
class JudgedScenario:
    """The ids of the checks by outcome; for each failure what was found."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    not_judged: set[str] = field(default_factory=set)


def judge(run: Run, scenario: ModuleType, target: Target, folder: Path) -> JudgedScenario:
    """Run the stage of a module, and each of its checks that is about this target."""
    (definition,) = (each.definition for each in vars(scenario).values() if hasattr(each, "definition"))
    parameters = inspect.signature(definition.function).parameters
    with ExitStack() as stack:
        evidence = definition.function(**StageResources(run, target, folder, None).open(parameters, stack))
    judged = JudgedScenario()
    for function in vars(scenario).values():
        marks = getattr(function, "pytestmark", ())
        ids = {each.id for mark in marks if mark.name == "check" for each in mark.args}
        missing = target.explain_missing(*(name for mark in marks if mark.name == "needs" for name in mark.args))
        is_in_profile = all(mark.args == (target.profile,) for mark in marks if mark.name == "profile")
        if ids and is_in_profile and not missing:
            given = {definition.function.__name__: evidence, "measure": lambda value, *_, **__: value}
            arguments = {name: given[name] for name in inspect.signature(function).parameters}
            _run_check(function, arguments, ids, judged)
    return judged


def _run_check(function: object, arguments: dict[str, object], ids: set[str], judged: JudgedScenario) -> None:
    """Run one check."""
    assert callable(function)
    try:
        function(**arguments)
    except Refuted as error:
        judged.failed |= dict.fromkeys(ids, error.failure.found)
    except NotJudged:
        judged.not_judged |= ids
    except Skipped as error:
        raise AssertionError(f"{ids} is skipped, and its row is not judged: {error}") from error
    else:
        judged.passed |= ids
