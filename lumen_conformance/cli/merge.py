"""``lumen-conformance merge``: join the reports of shards, or of several systems, into one."""

from __future__ import annotations

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
    """Add the records and the output."""
    text = f"output folders of lumen-conformance run, or their {RECORD}"
    parser.add_argument("records", nargs="+", metavar="DIR|FILE", help=text)
    add_output_options(parser.add_argument_group("output"))


def main(args: argparse.Namespace) -> int:
    """Report what these records have; return the exit status that one run would have."""
    records = [path if path.is_file() else path / RECORD for path in map(Path, args.records)]
    if missing := [path for path in records if not path.is_file()]:
        raise CommandError(
            f"{missing[0]} is missing: give folders that lumen-conformance run --output DIR has written, "
            "or files of --record"
        )
    output = Path(args.output).resolve()
    if inside := [str(record) for record in records if record.resolve().is_relative_to(output)]:
        raise CommandError(
            f"{inside[0]} is in the output folder {args.output}, which is replaced: name another --output"
        )
    replays = [f"--replay={path}" for path in records]
    copies = f"--replay-copies={Path(args.output) / PARTS}"
    # A record needs no code of this folder.
    return run_pytest(["--noconftest", *replays, copies, *output_arguments(args)])
