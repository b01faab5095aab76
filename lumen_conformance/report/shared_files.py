"""Share texts between the processes of a run: parallel workers collect, and their controller writes the report."""

from pathlib import Path

import pytest

from lumen_conformance.run import run_of


def reports(config: pytest.Config) -> bool:
    """Return whether this process writes the report: the only one, or the controller of parallel workers."""
    return not hasattr(config, "workerinput")


def publish(config: pytest.Config, name: str, text: str) -> None:
    """Publish a text under a name; it replaces an earlier text of this process."""
    path = _folder(config) / f"{name}-{run_of(config).worker}.json"
    unfinished = path.with_suffix(".new")  # so that no process reads an incomplete file
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def published(config: pytest.Config, name: str) -> list[str]:
    """Return the texts that processes have published under a name."""
    return [path.read_text(encoding="utf-8") for path in sorted(_folder(config).glob(f"{name}-*.json"))]


def _folder(config: pytest.Config) -> Path:
    return run_of(config).folder
