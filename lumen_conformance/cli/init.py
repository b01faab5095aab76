"""``lumen-conformance init``: write a starter baseline and a CI file."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from lumen_conformance.cli.errors import CommandError

if TYPE_CHECKING:
    import argparse

BASELINE: Final = """# Known failures of this server: one check a line, its id, then the reason why it is not fixed yet.
# A listed check that fails does not fail the run; a listed check that passes does: remove its line then.
# `lumen-conformance run … --write-baseline FILE` writes the lines for what fails now.
"""
WORKFLOW: Final = Template("""# Judges this server on every push.
# Replace VERSION by a release or a commit of the suite, and the command by yours.
name: conformance
on: [push, pull_request]
permissions:
  contents: read
jobs:
  conformance:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - name: Install the suite
        run: python -m pip install "lumen-proxy[conformance] @ git+$repository@VERSION"
      - name: Judge
        run: >-
          lumen-conformance run contract
          --command 'python -m your_server --port {port} --upstream {gateway_url}'
          --baseline '$baseline'
      - uses: actions/upload-artifact@v4
        if: $${{ !cancelled() }}
        with:
          name: conformance-report
          path: conformance-report
""")
REPOSITORY: Final = "https://example.invalid/lumen.git"  # the project has no public address yet


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two files."""
    parser.add_argument("--baseline", metavar="FILE", default="conformance-baseline.txt", help="default: %(default)s")
    parser.add_argument(
        "--workflow", metavar="FILE", default=".github/workflows/conformance.yml", help="default: %(default)s"
    )


def main(args: argparse.Namespace) -> int:
    """Write both files; an existing one is never replaced."""
    files = {
        Path(args.baseline): BASELINE,
        Path(args.workflow): WORKFLOW.substitute(repository=REPOSITORY, baseline=args.baseline),
    }
    for path in files:
        if path.exists():
            raise CommandError(f"{path} exists already: remove it, or name another file")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path}")
    return 0
