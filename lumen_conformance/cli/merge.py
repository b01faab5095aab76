"""``lumen-conformance merge``: join the reports of shards, or of several systems, into one."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.output import OUTPUT_FILES, add_output_options, output_arguments
from lumen_conformance.cli.run import run_pytest

if TYPE_CHECKING:
    import argparse

PARTS = "parts"
RECORD = OUTPUT_FILES["record"][0]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the folders and the output."""
    parser.add_argument("folders", nargs="+", metavar="DIR", help="output folders of lumen-conformance run")
    add_output_options(parser.add_argument_group("output"))


def main(args: argparse.Namespace) -> int:
    """Report what the records of these folders have; return the exit status that one run would have."""
    records = [Path(folder) / RECORD for folder in args.folders]
    if missing := [str(path) for path in records if not path.is_file()]:
        raise CommandError(f"{missing[0]} is missing: give folders that lumen-conformance run --output DIR has written")
    output = Path(args.output).resolve()
    if inside := [str(record.parent) for record in records if record.resolve().is_relative_to(output)]:
        raise CommandError(
            f"{inside[0]} is in the output folder {args.output}, which is replaced: name another --output"
        )
    replays = [f"--replay={path}" for path in _copy(records, Path(args.output) / PARTS)]
    return run_pytest(["--noconftest", *replays, *output_arguments(args)])  # a record needs no code of this folder


def _copy(records: list[Path], folder: Path) -> list[Path]:
    """Copy the records and their evidence below the output folder, so that the joined report has all of its files."""
    copies: list[Path] = []
    for record in records:
        name = record.resolve().parent.name
        taken = {copy.parent.name for copy in copies}
        target = folder / next(
            each for number in count(1) if (each := f"{name}-{number}" * (number > 1) or name) not in taken
        )
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        shutil.copy(record, target)
        for evidence in record.parent.glob("evidence-*"):
            shutil.copytree(evidence, target / evidence.name)
        copies.append(target / record.name)
    return copies
