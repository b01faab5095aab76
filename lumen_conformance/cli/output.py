"""Where a command writes its report and the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumen_conformance.cli.errors import CommandError
from lumen_conformance.registry.option_table import TEXTS

if TYPE_CHECKING:
    import argparse

PAGE: Final = "write the HTML report to FILE"  # the text of pytest-html is about pytest-html
DEFAULT_FOLDER: Final = "conformance-report"
# Option of this command: its file in the output folder, and pytest's option for it.
OUTPUT_FILES: Final = {
    "html": ("report.html", "--html"),
    "verdicts": ("verdicts.jsonl", "--verdicts"),
    "summary": ("summary.json", "--summary"),
    "record": ("record.jsonl", "--record"),
}


def add_output_options(group: argparse._ArgumentGroup) -> None:
    """Add the output folder, and one option a file."""
    group.add_argument(
        "--output", metavar="DIR", default=DEFAULT_FOLDER, help=f"folder of all files below (default: {DEFAULT_FOLDER})"
    )
    for name, (file, _) in OUTPUT_FILES.items():
        text = f"{TEXTS.get(f'--{name}', PAGE)} (default: {file} in the output folder)"
        group.add_argument(f"--{name}", metavar="FILE", help=text)
    group.add_argument("--junit", metavar="FILE", help="write JUnit XML to FILE")
    group.add_argument("--github-summary", metavar="FILE", help=TEXTS["--github-summary"])
    group.add_argument("--history", metavar="FILE", help=TEXTS["--history"])


def output_arguments(args: argparse.Namespace) -> list[str]:
    """Return pytest's options for these files. Raises CommandError for an empty name, or a folder that is none."""
    if empty := [name for name in ("output", *OUTPUT_FILES) if getattr(args, name) == ""]:
        raise CommandError(f"--{empty[0]} is empty: give it a name, or omit the option")
    folder = Path(args.output)
    if others := [each for each in (folder, *folder.parents) if each.exists() and not each.is_dir()]:
        raise CommandError(f"--output={folder}: {others[0]} is no folder; name another")
    files = {option: getattr(args, name) for name, (_, option) in OUTPUT_FILES.items()}
    defaults = {option: str(folder / file) for file, option in OUTPUT_FILES.values()}
    files |= {"--junit-xml": args.junit, "--github-summary": args.github_summary, "--history": args.history}
    named = {option: defaults.get(option) if file is None else file for option, file in files.items()}
    return [
        *(f"{option}={file}" for option, file in named.items() if file is not None),
        f"--evidence-dir={folder}",
    ]
