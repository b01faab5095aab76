"""How the processes of one run share words: parallel workers collect the tests, the controller writes the report."""

from pathlib import Path

import pytest

from lumen_conformance.run import run_of


def reports(config: pytest.Config) -> bool:
    """Return whether this process writes the report: the only one, or the controller of parallel workers."""
    return not hasattr(config, "workerinput")


def publish(config: pytest.Config, name: str, text: str) -> None:
    """Say something under a name; what this process said under it before is forgotten."""
    path = _folder(config) / f"{name}-{run_of(config).worker}.json"
    unfinished = path.with_suffix(".new")  # a reader sees all of it or nothing
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def published(config: pytest.Config, name: str) -> list[str]:
    """Return what each process said last under a name."""
    return [path.read_text(encoding="utf-8") for path in sorted(_folder(config).glob(f"{name}-*.json"))]


def _folder(config: pytest.Config) -> Path:
    return run_of(config).folder
