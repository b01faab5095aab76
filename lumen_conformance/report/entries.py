"""Describe each collected test for the report.

The descriptions are written after the collection, because a worker that crashes cannot send the claim of its test.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry.declaration import check_of, claim_of, parameters_of
from lumen_conformance.report import shared_files
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.selection import area_of, scenario_of

_NAME: Final = "entries"


@dataclass(frozen=True)
class ReportEntry:
    """One test.

    ``check_id``  empty for a test without a number; with the label of its system in a report of several
    ``area``      the folder below tests/
    ``scenario``  0 outside the recovery tests
    ``group``     the first line of the docstring of the module
    ``gateway``   whether it needs the gateway of the suite
    ``label``     of its system: what `check_id` and `nodeid` end with in a report of several, such as @linux
    """

    nodeid: str
    check_id: str
    parameters: str
    tier: str
    claim: str
    title: str
    area: str
    scenario: int
    group: str
    source: str = ""
    label: str = ""
    gateway: bool = False

    @property
    def name(self) -> str:
        """The id that lists this row in a baseline, or the pytest id of a test without a number."""
        return names(self.check_id, self.parameters)[0] or self.nodeid

    @property
    def plain_id(self) -> str:
        """The id of the check, as the suite has it."""
        return self.check_id.removesuffix(self.label)

    @property
    def plain_name(self) -> str:
        """The name that selects this row, without the label of its system."""
        return names(self.plain_id, self.parameters)[0] or self.nodeid.removesuffix(self.label)


Entries = Mapping[str, ReportEntry]


def entry_of(item: pytest.Item) -> ReportEntry:
    """Describe one collected test."""
    found = check_of(item)
    module = getattr(item, "module", None)
    return ReportEntry(
        nodeid=item.nodeid,
        check_id=found.id if found else "",
        parameters=parameters_of(item, found) if found else "",
        tier=found.tier if found else "M",
        claim=(found and found.claim) or claim_of(getattr(item, "function", None)),
        title=(found.title or "") if found else "",
        area=area_of(item.path, item.config),
        scenario=scenario_of(item.path, item.config) or 0,
        group=claim_of(module) or item.path.stem,
        source=found.source if found else "",
        gateway=any("gateway" in mark.args for mark in item.iter_markers("needs")),
    )


def unknown(nodeid: str) -> ReportEntry:
    """Describe a test of which only the pytest id is known, because the collection failed."""
    return ReportEntry(nodeid, "", "", "M", "", "", "", 0, Path(nodeid.partition("::")[0]).stem)


def read(config: pytest.Config) -> Entries:
    """Return the published entries by pytest id; empty if nothing was collected."""
    texts = shared_files.published(config, _NAME)
    entries = json.loads(texts[0]) if texts else []
    return {each["nodeid"]: ReportEntry(**each) for each in entries}


def publish_items(session: pytest.Session) -> None:
    """Publish the collected tests; every parallel worker collects the same tests."""
    publish(session.config, [entry_of(item) for item in session.items])


def publish(config: pytest.Config, entries: Iterable[ReportEntry]) -> None:
    """Publish entries for the process that writes the report."""
    shared_files.publish(config, _NAME, json.dumps([vars(each) for each in entries]))
