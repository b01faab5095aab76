"""``lumen-conformance compare``: compare two verdict files, for example those of two releases."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.exit_status import ExitStatus
from lumen_conformance.cli.output import OUTPUT_FILES
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report.compared_run import ComparedRun
from lumen_conformance.report.comparison import (
    JUDGED,
    NOT_JUDGED,
    Change,
    VerdictLine,
    Verdicts,
    differences,
    in_groups,
)
from lumen_conformance.report.comparison_page import write_page
from lumen_conformance.report.run_ending import FILE, read_ending

if TYPE_CHECKING:
    import argparse

REASONED = ("newly failing", NOT_JUDGED, JUDGED, "newly warned")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two files."""
    file = OUTPUT_FILES["verdicts"][0]
    parser.add_argument("old", metavar="OLD", help=f"{file} of the earlier run, or its output folder")
    parser.add_argument("new", metavar="NEW", help=f"{file} of the later run, or its output folder")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--html", metavar="FILE", help="write a page with the evidence of both runs to FILE")


def main(args: argparse.Namespace) -> int:
    """Print what differs; exit status 1 for a check that newly fails or is newly not judged (tier M), or half a run."""
    paths = Path(args.old), Path(args.new)
    page = _page(args.html, paths)
    old, new = (_run(name, path) for name, path in zip((args.old, args.new), paths, strict=True))
    changes = differences(old.verdicts, new.verdicts)
    groups = in_groups(changes)
    if args.json:
        found: dict[str, Any] = {name.replace(" ", "_"): [vars(each) for each in them] for name, them in groups.items()}
        json.dump(found | {"old_run": _ending(old), "new_run": _ending(new)}, sys.stdout, indent=1)
        print()
    else:
        _print(groups)
        if not new.ending.is_complete:
            print(f"the new run is not complete: {visible(new.ending.describe())}")
    if page:
        write_page(page, [old, new])
        if not args.json:
            print(f"Generated html report: {page.resolve().as_uri()}")
    fails = any(each.fails for each in changes) or not new.ending.is_complete
    return ExitStatus.FAILED if fails else ExitStatus.OK


def _run(name: str, path: Path) -> ComparedRun:
    """Return a run; raises CommandError."""
    verdicts = read(path)
    try:
        return ComparedRun(name, verdicts, path, read_ending(path, verdicts))
    except (OSError, ValueError) as error:  # one of msgspec is a ValueError
        raise CommandError(f"{path / FILE} is no summary of a run: {error}; give a folder of a run") from None


def _ending(run: ComparedRun) -> dict[str, Any]:
    ending = run.ending
    return {"word": ending.word, "exit_status": ending.exit_status, "complete": ending.is_complete}


def _page(name: str | None, paths: tuple[Path, Path]) -> Path | None:
    """Return the file of the page; raises CommandError for an empty name, or one of the files that are compared."""
    if name is None:
        return None
    page = Path(name).expanduser()
    if not name or page.resolve() in {_file(path).resolve() for path in paths}:
        raise CommandError(f"--html={name} is {'one of the files to compare' if name else 'empty'}: name another file")
    return page


def _file(path: Path) -> Path:
    return path / OUTPUT_FILES["verdicts"][0] if path.is_dir() else path


def _print(groups: dict[str, list[Change]]) -> None:
    for name, found in groups.items():
        print(f"{name}: {len(found)}")
        for each in found:
            reason = f": {visible(each.reason)}" if name in REASONED and each.reason else ""
            print(f"  {each.id} ({each.tier})  {each.old or 'absent'} -> {each.new or 'absent'}{reason}")


def read(path: Path) -> Verdicts:
    """Return the verdicts of a file or an output folder, by id and parameters. Raises CommandError."""
    file = _file(path)
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}; give a file of --verdicts") from None
    found = [_parse(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise CommandError(f"{file} has no verdict: the run selected no check, or did not end")
    return {each.name: each for each in found}


def _parse(line: bytes, place: str) -> VerdictLine:
    """Return the verdict of a line; raises CommandError."""
    try:
        # Not by msgspec alone: it refuses half of a surrogate pair, which a measured text can have.
        return msgspec.convert(json.loads(line.decode("utf-8")), VerdictLine)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{place}: no verdict: {error}; give a file of --verdicts") from None
