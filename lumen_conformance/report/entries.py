"""What this run is made of: one entry a test, known before any of them runs.

A crashed worker cannot say what its test claimed, so the claims are written down when tests are collected.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry.declaration import check_of, claim_of, parameters_of
from lumen_conformance.report import shared_files
from lumen_conformance.report.selection import area_of, scenario_of

_NAME: Final = "catalogue"


@dataclass(frozen=True)
class Entry:
    """One test; ``check_id`` is empty for a test without a number, ``scenario`` is 0 outside the recovery tests.

    ``chapter`` is the first line of the docstring of its module, ``area`` the folder below tests/.
    """

    nodeid: str
    check_id: str
    parameters: str
    tier: str
    claim: str
    title: str
    area: str
    scenario: int
    chapter: str


Catalogue = Mapping[str, Entry]


def entry_of(item: pytest.Item) -> Entry:
    """Describe one collected test."""
    found = check_of(item)
    module = getattr(item, "module", None)
    return Entry(
        nodeid=item.nodeid,
        check_id=found.id if found else "",
        parameters=parameters_of(item, found) if found else "",
        tier=found.tier if found else "M",
        claim=(found and found.claim) or claim_of(getattr(item, "function", None)),
        title=(found.title or "") if found else "",
        area=area_of(item.path, item.config),
        scenario=scenario_of(item.path, item.config) or 0,
        chapter=claim_of(module) or item.path.stem,
    )


def unknown(nodeid: str) -> Entry:
    """Describe a test of which only the pytest id is known: collection itself failed."""
    return Entry(nodeid, "", "", "M", "", "", "", 0, Path(nodeid.partition("::")[0]).stem)


def read(config: pytest.Config) -> Catalogue:
    """Return the entries by pytest id, as any process collected them; none when nothing was collected."""
    texts = shared_files.published(config, _NAME)
    entries = json.loads(texts[0]) if texts else []
    return {each["nodeid"]: Entry(**each) for each in entries}


def publish_items(session: pytest.Session) -> None:
    """Write the entries down for the process that reports; every parallel worker collects the same."""
    publish(session.config, [entry_of(item) for item in session.items])


def publish(config: pytest.Config, entries: Iterable[Entry]) -> None:
    """Write entries down for the process that reports."""
    shared_files.publish(config, _NAME, json.dumps([asdict(each) for each in entries]))
