"""``lumen-conformance merge``: join the reports of shards, or of several systems, into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.output import OUTPUT_FILES, add_output_options, output_arguments
from lumen_conformance.cli.run import run_pytest

if TYPE_CHECKING:
    import argparse

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
    if Path(args.output).resolve() in {Path(folder).resolve() for folder in args.folders}:
        raise CommandError(f"--output {args.output} is one of the folders to join: name another folder")
    return run_pytest([f"--replay={path}" for path in records] + output_arguments(args))
