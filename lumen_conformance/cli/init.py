"""``lumen-conformance init``: write a starter baseline and a CI file."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from lumen_conformance.cli.errors import CommandError

if TYPE_CHECKING:
    import argparse

DISTRIBUTION: Final = "lumen-proxy"
BASELINE: Final = """# Known failures of this server: one check a line, its id, then the reason why it is not fixed yet.
# A listed check that fails does not fail the run; a listed check that passes does: remove its line then.
# `lumen-conformance run … --write-baseline FILE` writes the lines for what fails now.
"""
WORKFLOW: Final = Template("""# Judges this server on every push.
# Put the command of your server in the place of `python -m your_server`, and install what the server needs in a step
# before the last one. The suite has an environment of its own.
name: conformance
on: [push, pull_request]
permissions: {}
jobs:
  conformance:
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - name: Judge the server
        uses: $action
        with:
          command: python -m your_server --port {port} --upstream {gateway_url}
          baseline: $baseline
""")
BASELINE_FILE: Final = "conformance-baseline.txt"
PLACE: Final = "OWNER/REPOSITORY@COMMIT"
_PINNED: Final = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
_WRITTEN: Final = re.compile(r"uses: (\S+)\n        with:\n.*\n          baseline: (.*)\n")  # as the template has it
_GITHUB: Final = re.compile(r"(?:git\+)?(?:https|ssh)://(?:git@)?github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two files, and the address of the action."""
    parser.add_argument("--baseline", metavar="FILE", default=BASELINE_FILE, help="default: %(default)s")
    parser.add_argument(
        "--workflow", metavar="FILE", default=".github/workflows/conformance.yml", help="default: %(default)s"
    )
    parser.add_argument(
        "--action",
        metavar=PLACE,
        help="the action of the suite, with the 40 digits of a commit (default: where this suite was installed from, "
        f"if that is GitHub, else {PLACE}, which you replace)",
    )


def main(args: argparse.Namespace) -> int:
    """Write both files. With ``--action`` a workflow is replaced that this command wrote and nobody has changed."""
    if args.action is not None and not _PINNED.fullmatch(args.action):
        raise CommandError(f"--action {args.action!r} is invalid: expected {PLACE} with the 40 digits of a commit")
    if not args.baseline.isprintable():
        raise CommandError(f"--baseline {args.baseline!r} is invalid: expected a name without control characters")
    action = args.action or installed_action() or PLACE
    files = {Path(args.baseline): BASELINE, Path(args.workflow): workflow(action, args.baseline)}
    existing = [path for path in files if path.exists()]
    if args.action and _is_unchanged(Path(args.workflow)):
        files = {path: text for path, text in files.items() if path == Path(args.workflow) or path not in existing}
    elif existing:
        raise CommandError(f"these files exist already: {', '.join(map(str, existing))}: remove them, or name others")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path}")
    if action == PLACE:
        print(
            f"replace {PLACE} in {args.workflow} by the repository of the suite and a commit, "
            "or run init again with --action"
        )
    return 0


def workflow(action: str, baseline: str) -> str:
    """Return the text of the workflow."""
    quoted = json.dumps(baseline, ensure_ascii=False)  # a string of JSON is one of YAML
    return WORKFLOW.substitute(action=action, baseline=quoted)


def _is_unchanged(path: Path) -> bool:
    """Return whether a file is a workflow as this command writes it, with any action and baseline."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    found = _WRITTEN.search(text)
    return found is not None and text == WORKFLOW.substitute(action=found[1], baseline=found[2])


def installed_action() -> str | None:
    """Return the repository and the commit from which this suite was installed; None if it is not from GitHub.

    The installer records them in the file ``direct_url.json`` (PEP 610).
    """
    try:
        source = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return None
    repository = _GITHUB.fullmatch(source.get("url", ""))
    commit = source.get("vcs_info", {}).get("commit_id", "")
    action = f"{repository[1]}@{commit}" if repository else ""
    return action if _PINNED.fullmatch(action) else None
