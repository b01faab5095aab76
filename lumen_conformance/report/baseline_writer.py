"""``--write-baseline FILE``: write the failures of a foreign target to a file for ``--baseline``.

If the file is that of ``--baseline``, it is updated: lines of checks that pass now are removed, new failures are added,
and all other lines stay. No other existing file is replaced.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry import old_ids
from lumen_conformance.registry.measurement import REPORTED_ONLY
from lumen_conformance.registry.option_table import spelled
from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.report.baseline import BASELINE, TEXT, listed_as, text_of
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.results import RESULTS, Result
from lumen_conformance.report.under_test import TARGET

REASON_CHARS: Final = 200  # one line of a review
_WRITTEN: Final = pytest.StashKey[str]()
HEAD: Final = "# Known failures: a check id, with parameters if only some rows fail; then the reason.\n"


def configure(config: pytest.Config) -> None:
    """Refuse a file that must not or cannot be written, and the proxy of this repository as the target."""
    path, given = _path(config), output_paths.given(config, "--baseline")
    if not path:
        return
    if TARGET not in config.stash:
        raise pytest.UsageError(
            f"--write-baseline needs a foreign target: give {spelled('command')} or {spelled('url')}"
        )
    try:
        if path.exists() and not (given and path == given.resolve()):
            raise pytest.UsageError(f"--write-baseline={path} exists: name a new file, or give it also as --baseline")
        path.parent.mkdir(parents=True, exist_ok=True)
        _unfinished(path).touch()
        _unfinished(path).unlink()
    except OSError as error:
        raise pytest.UsageError(
            f"--write-baseline={path} cannot be written: {error.strerror}; name another file"
        ) from None


def _path(config: pytest.Config) -> Path | None:
    """Return the file of the option, with links resolved."""
    given = output_paths.given(config, "--write-baseline") if shared_files.reports(config) else None
    return given.resolve() if given else None


def _unfinished(path: Path) -> Path:
    """Return the path of the temporary file that replaces the old one, so that no reader gets an incomplete file."""
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def write_file(session: pytest.Session) -> None:
    """Write the file, if the run is complete."""
    config, path = session.config, _path(session.config)
    ended = session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    if path and ended and not config.stash[RESULTS].missing:
        config.stash[_WRITTEN] = f"baseline: {_write(path, config)}"
    elif path:
        config.stash[_WRITTEN] = f"baseline: {path} is not written, because the run is incomplete"


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was written."""
    if line := config.stash.get(_WRITTEN, ""):
        terminalreporter.write_line(line)


def _write(path: Path, config: pytest.Config) -> str:
    """Write the file; return a description for the terminal."""
    reported_only = config.stash.get(REPORTED_ONLY, frozenset("W"))
    results = [each for each in config.stash[RESULTS].results if each.entry.check_id]
    added = dict(lines_for([each for each in results if each.entry.tier not in reported_only]))
    stale = (each for each in results if each.stale)
    removed = {listed_as(config.stash[BASELINE], each.entry.check_id, each.entry.parameters) for each in stale}
    replace(path, updated(_text(config), added, removed))
    return f"{path}, {len(added)} lines added, {len(removed)} removed"


def _text(config: pytest.Config) -> str:
    """Return the text to update: the current content of the file, which may have been edited during the run."""
    given = output_paths.given(config, "--baseline")
    return (
        HEAD
        if given is None
        else old_ids.accept_lines(config, text_of(given))
        if given.is_file()
        else config.stash[TEXT]
    )


def replace(path: Path, text: str) -> None:
    """Replace the content of a file, and keep its permissions; raises OSError."""
    _unfinished(path).write_text(text, "utf-8", "backslashreplace", "")
    try:
        if path.exists():
            shutil.copymode(path, _unfinished(path))
        _unfinished(path).replace(path)
    finally:
        _unfinished(path).unlink(missing_ok=True)


def updated(text: str, added: Mapping[str, str], removed: Collection[str | None]) -> str:
    """Return the text of a baseline without the lines of the removed ids, and with new lines at its end."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    kept = [line for line in lines if not line.strip() or line.split(maxsplit=1)[0] not in removed]
    end = "\r\n" if "\r\n" in text else "\n"
    last = end if added and kept and not kept[-1].endswith("\n") else ""
    return "".join([*kept, last, *(f"{name}  {reason}{end}" for name, reason in added.items())])


def lines_for(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """Yield id and reason of each failure, and of each check that was not judged for another reason than a failure."""
    rows: dict[str, list[Result]] = defaultdict(list)
    for each in results:
        if each.outcome != "skipped":
            rows[each.entry.check_id].append(each)
    known = {check for check, group in rows.items() if any(_is_new(one) or one.outcome == "baselined" for one in group)}
    for group in rows.values():
        lines = [each for each in group if _is_new(each) or _is_open(each, known)]
        whole = all(each in lines or each.outcome == "not_judged" for each in group)
        for each in lines[:1] if whole else lines:
            yield _name(each, whole=whole), _reason(each)


def _is_new(result: Result) -> bool:
    return result.outcome == "failed" and not result.stale


def _is_open(result: Result, known: Collection[str]) -> bool:
    """Return whether the test was not judged, and no line of the new baseline has the reason."""
    covered = bool(result.because_of) and set(result.because_of) <= set(known)
    return result.outcome == "not_judged" and not (covered or result.excused)


def _name(result: Result, *, whole: bool) -> str:
    """Return the id, with parameters if only some rows are listed; a line cannot contain parameters with blanks."""
    parameters = result.entry.parameters
    return names(result.entry.check_id, "" if whole or " " in parameters else parameters)[0]


def _reason(result: Result) -> str:
    """Return the found value in one line."""
    text = " ".join((result.failure.found if result.failure else result.reason).split()) or "fails"
    return text if len(text) <= REASON_CHARS else f"{text[: REASON_CHARS - 3]}..."
