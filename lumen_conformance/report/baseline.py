"""``--baseline FILE``: the known failures of a foreign target, each with a reason.

A listed check that fails does not fail the run. A listed check that passes fails the run.

The file is UTF-8, with one line for each check: its id, white space, the reason. The id is that of the verdicts. An id
with parameters after a hyphen, as in the pytest id, lists only this row. Empty lines and lines that begin with ``#``
are ignored; an indented id and an id that no check has are errors. Only a refuted claim can be known: an ERROR stays an
ERROR.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry import old_ids
from lumen_conformance.registry.declaration import check_of, parameters_of
from lumen_conformance.registry.measurement import reason_of
from lumen_conformance.registry.refutation import Status, is_suite_fault
from lumen_conformance.report import known_ids, output_paths, shared_files
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.shards import IN_OTHER_PARTS

BASELINED: Final = "baselined"
IN_PART: Final = "baseline-in-part"
PARTLY_SELECTED: Final = "baseline-partly-selected"  # by all parts of a run together
_IN_WORKERS: Final = "lumen_baseline"
_ID: Final = re.compile(r"[A-Z]?[0-9][!-~]*")  # an id, perhaps with parameters: ASCII without blanks
Baseline = Mapping[str, str]
BASELINE: Final = pytest.StashKey[Baseline]()
BASELINE_FILES: Final = pytest.StashKey[Mapping[str, str]]()  # the file of each id, for messages
TEXT: Final = pytest.StashKey[str]()
_ROWS: Final = pytest.StashKey[dict[str, set[str]]]()


def configure(config: pytest.Config) -> None:
    """Read the file once, as it may be a pipe. An invalid line is an error: it could list the wrong checks."""
    file, text = _read_file(config) if shared_files.reports(config) else config.workerinput[_IN_WORKERS]  # type: ignore[attr-defined]
    config.stash[TEXT], config.stash[BASELINE] = text, (known := read(text, file))
    config.stash[BASELINE_FILES] = dict.fromkeys(known, file)


def _read_file(config: pytest.Config) -> tuple[str, str]:
    """Return the path and the text of the file, with the present form of each id; empty texts without the option."""
    path = output_paths.given(config, "--baseline")
    return (str(path), old_ids.accept_lines(config, text_of(path))) if path else ("", "")


def configure_worker(node: object) -> None:
    """Send the baseline to a parallel worker."""
    stash: pytest.Stash = node.config.stash  # type: ignore[attr-defined]
    node.workerinput[_IN_WORKERS] = next(iter(stash[BASELINE_FILES].values()), ""), stash[TEXT]  # type: ignore[attr-defined]


def text_of(path: Path) -> str:
    """Return the text of a file, its line ends kept, without a byte order mark; raises pytest.UsageError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise pytest.UsageError(
            f"--baseline={path} cannot be read: {error.strerror}; give a file that --write-baseline=FILE has written"
        ) from None
    except UnicodeDecodeError as error:
        what = f"byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise pytest.UsageError(f"--baseline={path} is not UTF-8 ({what}); save it as UTF-8") from None


def read(text: str, path: str) -> Baseline:
    """Return the reasons by id; raises pytest.UsageError for an invalid line."""
    known: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        check_id, reason = [*line.split(maxsplit=1), "", ""][:2]
        if not check_id or check_id.startswith("#"):
            continue
        if error := _find_error(line, check_id, reason, known):
            raise pytest.UsageError(f"--baseline={path}, line {number}: {error}")
        known[check_id] = reason.strip()
    return known


def _find_error(line: str, check_id: str, reason: str, known: Baseline) -> str:
    """Return the error of a line, or an empty text."""
    if line[0].isspace():
        return f"{check_id!r} is indented: expected an id at the beginning of the line; remove the blanks before it"
    if not _ID.fullmatch(check_id):
        return f"{check_id!r} is no check id, such as F1.2; begin a comment with #"
    if check_id in known:
        return f"{check_id} is listed twice; remove one line"
    return "" if reason.strip() else f"{check_id} has no reason; write one after the id"


def read_rows(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Find the tests of each listed id. Refuse an id that no check has."""
    config.stash[_ROWS] = _rows(config.stash[BASELINE], items)
    if unknown := known_ids.find_unknown(config, config.stash[BASELINE], items):
        raise pytest.UsageError(_describe_unknown(config, unknown))


def _describe_unknown(config: pytest.Config, unknown: list[str]) -> str:
    """Return the error of ids that no check has, with the line of the first."""
    file, lines = config.stash[BASELINE_FILES][unknown[0]], config.stash[TEXT].split("\n")
    number = next(number for number, line in enumerate(lines, 1) if line.split(maxsplit=1)[:1] == unknown[:1])
    return (
        f"--baseline={file}, line {number}: no check has the id "
        f"{', '.join(unknown)}: expected ids as `lumen-conformance list` prints them; correct or remove these lines"
    )


def _rows(known: Baseline, items: Iterable[pytest.Item]) -> dict[str, set[str]]:
    """Return the tests of each listed id."""
    rows: dict[str, set[str]] = {}
    for item in items if known else ():
        found = check_of(item)
        if found and (name := listed_as(known, found.id, parameters_of(item, found))):
            rows.setdefault(name, set()).add(item.nodeid)
    return rows


def leave_out(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Ignore tests that do not apply to this target, so that they do not count as not selected."""
    nodeids = {item.nodeid for item in items}
    for rows in config.stash.get(_ROWS, {}).values():
        rows.difference_update(nodeids)


def publish_partly_selected(session: pytest.Session) -> None:
    """Publish the listed ids of which only some tests are selected: this run cannot show that all of them pass."""
    config, selected = session.config, {item.nodeid for item in session.items}
    single = any("::" in arg for arg in config.args)
    part = [name for name, rows in config.stash.get(_ROWS, {}).items() if single or not rows <= selected]
    if part:
        shared_files.publish(config, IN_PART, json.dumps(part))
    others: frozenset[str] = config.stash.get(IN_OTHER_PARTS, frozenset())
    whole = selected | others
    of_all_parts = [name for name, rows in config.stash.get(_ROWS, {}).items() if single or not rows <= whole]
    shared_files.publish(config, PARTLY_SELECTED, json.dumps(of_all_parts))


def in_part(config: pytest.Config, kind: str = IN_PART) -> frozenset[str]:
    """Return the listed ids of which only some tests are selected: by this part of a run, or by all parts together."""
    return frozenset(name for text in shared_files.published(config, kind) for name in json.loads(text))


def listed_as(known: Baseline, check_id: str, parameters: str) -> str | None:
    """Return the id that lists a check, or None."""
    return next((name for name in names(check_id, parameters) if name in known), None)


def excuse_known(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn the refuted claim of a listed check into a known failure."""
    found, known = check_of(item), item.config.stash[BASELINE]
    name = listed_as(known, found.id, parameters_of(item, found)) if found else None
    if name and call.when == "call" and report.failed and not is_suite_fault(report):
        why = f"{reason_of(report)} (known: {known[name]})"
        report.user_properties.append((BASELINED, why))
        report.sections.append(("known failure", report.longreprtext))
        report.outcome, report.longrepr = "passed", None


def status_of(report: pytest.TestReport) -> Status | None:
    """Return the category of a known failure."""
    if report.when == "call" and any(name == BASELINED for name, _ in report.user_properties):
        return BASELINED, "b", ("BASELINED", {"yellow": True})
    return None


def stale(known: Baseline, ended: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the listed ids of which at least one test passed and none failed; ``ended``: id, parameters, outcome."""
    outcomes: dict[str, set[str]] = {}
    for check_id, parameters, outcome in ended:
        if outcome not in {"skipped", "not_judged"} and (name := listed_as(known, check_id, parameters)):
            outcomes.setdefault(name, set()).add(outcome)
    yield from (name for name in known if outcomes.get(name) == {"passed"})
