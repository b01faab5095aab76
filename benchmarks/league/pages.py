"""The table of the league, and the appendix with a request and an answer for each failure."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from league.judging import Outcome
from league.launching import ROOT
from league.summary import Group, groups

HEAD = Path(__file__).parent / "head.md"
SHOWN_CHARS = 700  # of an answer
REQUEST_CHARS = 2_000  # of a request: some have a body of many thousand bytes
FAILURE_LINES, LINE_CHARS = 8, 300  # of what the suite said


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield docs/league.md."""
    yield HEAD.read_text("utf-8")
    yield f"Measured with Python {platform.python_version()} and Node {_node_version()} on {platform.system()}.\n"
    yield "| server | version | passed | failed | reported | skipped | not judged | time |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from (_row(each) for each in outcomes)
    for each in outcomes:
        yield f"\n## {each.server.title} {each.server.version}\n"
        yield from _section(each)


def _row(outcome: Outcome) -> str:
    count = outcome.counts
    cells = [count["passed"], count["failed"], count["warned"], count["skipped"]]
    shown = (
        [str(cell) for cell in (*cells, count.total() - sum(cells))] if outcome.verdicts else ["", "", "", "", "all"]
    )
    return f"| {' | '.join([outcome.server.title, outcome.server.version, *shown, f'{outcome.elapsed_s:.0f} s'])} |"


def _section(outcome: Outcome) -> Iterator[str]:
    if outcome.trouble:
        what = "Judged in part" if outcome.verdicts else "Could not be judged here"
        yield f"{what}. What was tried, and what came of it:\n{_fenced('text', outcome.trouble)}\n"
    if not outcome.verdicts:
        return
    yield f"Options: `{' '.join(outcome.server.options)}`\n"
    yield f"Checks of tier M that failed: {', '.join(outcome.refuted) or 'none'}.\n"
    if outcome.unjudged and not outcome.trouble:
        yield f"Not judged, for a fault of the suite and not of the server: {', '.join(outcome.unjudged)}.\n"
    yield outcome.server.views


def appendix(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield docs/league-failures.md."""
    yield "# Failures of the league, each with its request\n"
    yield "Failures of one server whose *expected* and *found* begin with the same words stand together: all their"
    yield "checks are named, and the first has its request and its answer. `PORT` is that of the server, `GATEWAY` that"
    yield "of the scripted gateway; keys are masked. What this is about: [league.md](league.md).\n"
    for each in outcomes:
        yield f"## {each.server.title} {each.server.version}"
        for group in groups(each.notes):
            yield from _entry(group)


def _entry(group: Group) -> Iterator[str]:
    note, checks = group["example"], group["checks"]
    failure, told = str(note["failure"]), str(note["sections"].get("last exchange", ""))
    repeat = re.search(r"repeat: +(curl .*)", failure)
    curl, _, answer = told.partition("\n\n")
    lines = [line[:LINE_CHARS] for line in failure.splitlines() if "repeat:" not in line]
    yield f"\n### {checks[0]}{f' and {len(checks) - 1} more' if len(checks) > 1 else ''}\n"
    if len(checks) > 1:
        yield f"Also: {', '.join(checks[1:])}.\n"
    yield _fenced("text", "\n".join(lines[-FAILURE_LINES:]))
    if repeat or curl:  # a crowd has no single request
        yield _fenced("sh", (repeat[1] if repeat else curl)[:REQUEST_CHARS])
    if answer and not repeat:
        yield _fenced("text", answer[:SHOWN_CHARS].replace("\r", ""))


def _fenced(language: str, text: str) -> str:
    return f"\n```{language}\n{_neutral(text)}\n```"


def _neutral(text: str) -> str:
    """The text without what differs from machine to machine and from run to run."""
    text = re.sub(r"custom-host: http://127\.0\.0\.1:\d+", "custom-host: http://127.0.0.1:GATEWAY", text)
    text = re.sub(r"@/\S*/(request-\w+\.bin)", r"@\1", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = text.replace(str(ROOT), ".").replace("```", "'''")
    text = re.sub(r"(?:https|file)://\S+", "(address)", text)  # of a package index, in what an installer says
    return re.sub(r"/(?:root|home|tmp|opt|usr)/\S*/", "…/", text)


def _node_version() -> str:
    node = shutil.which("node")
    return subprocess.check_output([node, "--version"], encoding="utf-8").strip() if node else "(none)"
