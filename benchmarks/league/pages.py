"""The table of the league, and the appendix with a request and an answer for each cause of failures."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from league.causes import LeagueCause, causes_of, ids_of, name_of
from league.launcher import ROOT
from league.notes import check_of
from league.runs import ServerResult
from league.servers import LeagueServer
from lumen_proxy import __version__

HEAD = Path(__file__).parent / "head.md"
COLUMNS = ("server", "version", "clients", "strict", "M passed", "M failed", "causes", "M not judged", "S reported")
SHOWN_CHARS = 700  # of an answer
REQUEST_CHARS = 2_000  # of a request: some have a body of many thousand bytes
FAILURE_LINES, LINE_CHARS = 8, 300  # of the output of the suite
SENTENCE_CHARS = 240  # of a cause


@dataclass(frozen=True)
class Earlier:
    """What a page says about a server that was not judged here."""

    server: LeagueServer
    page: str

    def row(self) -> Iterator[str]:
        """Yield its row of the table, if there is one of this version."""
        yield from re.findall(rf"(?m)^{re.escape(f'| {self.server.title} | {self.server.version} |')}.*", self.page)

    def section(self) -> Iterator[str]:
        """Yield its section with the heading, if there is one of this version."""
        heading = re.escape(_heading(self.server))
        yield from re.findall(rf"(?ms)^{heading}\n.*?(?=\n*(?:^## |\Z))", self.page)


Result = ServerResult | Earlier


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield docs/league.md."""
    yield HEAD.read_text("utf-8")
    suite = f"lumen-conformance {__version__}, Python {platform.python_version()} and Node {_node_version()} on"
    yield f"Measured with {suite} {platform.system()}. A claim may be worded in another way today.\n"
    yield f"| {' | '.join((*COLUMNS, 'skipped', 'errors', 'time', 'day'))} |"
    yield "|---" * (len(COLUMNS) + 4) + "|"
    for each in results:
        yield from each.row() if isinstance(each, Earlier) else [_row(each)]
    yield from _joined(each.section() if isinstance(each, Earlier) else _section(each) for each in results)


def _joined(sections: Iterable[Iterable[str]]) -> Iterator[str]:
    for lines in sections:
        if text := "\n".join(lines).rstrip():
            yield f"\n{text}"


def _row(outcome: ServerResult) -> str:
    ended = outcome.ended
    counts: list[object] = [len(ended("passed", "M")), len(ended("failed", "M"))]
    counts += [f"[{len(causes_of(outcome, 'M'))}](league-failures.md#{_anchor(outcome.server)})"]
    counts += [len(ended("not_judged", "M")), len(ended("warned", "S")), len(ended("skipped")), len(ended("error"))]
    layers = [outcome.layers.get(layer, "") for layer in ("clients", "strict")]
    cells = [str(each) for each in counts] if outcome.verdicts else [""] * len(counts)
    row = [outcome.server.title, outcome.server.version, *layers, *cells, f"{outcome.elapsed_s:.0f} s", outcome.day]
    return f"| {' | '.join(row)} |"


def _heading(server: LeagueServer) -> str:
    return f"## {server.title} {server.version}"


def _anchor(server: LeagueServer) -> str:
    """The anchor that GitHub gives the heading of a server."""
    return re.sub(r"[^\w\- ]", "", f"{server.title} {server.version}".lower()).replace(" ", "-")


def _section(outcome: ServerResult) -> Iterator[str]:
    yield f"{_heading(outcome.server)}\n"
    if outcome.trouble:
        what = "Judged in part" if outcome.verdicts else "Could not be judged here"
        yield f"{what}. What was tried, and what came of it:\n{_fenced('text', outcome.trouble)}\n"
    if not outcome.verdicts:
        return
    yield f"Options: `{' '.join(outcome.server.options)}`\n"
    yield from _causes(outcome)
    if (broken := outcome.ended("error")) and not outcome.trouble:
        yield f"\nErrors, faults of the suite and not of the server: {ids_of(broken)}."
    if outcome.server.views:
        yield f"\n{outcome.server.views}"


def _causes(outcome: ServerResult) -> Iterator[str]:
    if not (causes := causes_of(outcome, "M")):
        yield "No client breaks on it."
        return
    yield "What clients break on:\n"
    for cause in causes:
        behind = f" Not judged because of it: {len(cause.unjudged)} more." if cause.unjudged else ""
        yield f"- {_sentence(cause)}. Checks: {ids_of(cause.failed)}.{behind}"


def appendix(results: Sequence[Result]) -> Iterator[str]:
    """Yield docs/league-failures.md."""
    yield "# Failures of the league, each cause with a request\n"
    yield "Failures are grouped by their cause, the largest first. Of what clients break on (tier M) each cause has the"
    yield "checks that failed and, of the first of them, the request and the answer; below stands what is only reported"
    yield "(tier S), a line for each cause. `PORT` is that of the server, `GATEWAY` that of the scripted gateway; keys"
    yield "are masked. What this is about: [league.md](league.md)."
    yield from _joined(each.section() if isinstance(each, Earlier) else _failures(each) for each in results)


def _failures(outcome: ServerResult) -> Iterator[str]:
    yield _heading(outcome.server)
    for cause in causes_of(outcome, "M"):
        yield from _entry(outcome, cause)
    if reported := causes_of(outcome, "S"):
        yield "\n### Only reported\n"
        yield from (f"- {_sentence(cause)}. Checks: {ids_of(cause.failed)}." for cause in reported)


def _entry(outcome: ServerResult, cause: LeagueCause) -> Iterator[str]:
    yield f"\n### {_sentence(cause)}\n"
    yield f"Checks: {ids_of(cause.failed)}.\n"
    if cause.unjudged:
        yield f"Not judged because of it: {ids_of(cause.unjudged)}.\n"
    yield from _example(outcome, cause)


def _example(outcome: ServerResult, cause: LeagueCause) -> Iterator[str]:
    names = {name_of(each) for each in cause.failed}
    note = next((each for each in sorted(outcome.notes, key=check_of) if check_of(each) in names), None)
    if note is None:
        return
    failure, exchange = str(note["failure"]), str(note["sections"].get("last exchange", ""))
    repeat = re.search(r"repeat: +(curl .*)", failure)
    curl, _, answer = exchange.partition("\n\n")
    lines = [line[:LINE_CHARS] for line in failure.splitlines() if "repeat:" not in line]
    yield _fenced("text", "\n".join(lines[-FAILURE_LINES:]))
    if repeat or curl:  # a crowd has no single request
        yield _fenced("sh", (repeat[1] if repeat else curl)[:REQUEST_CHARS])
    if answer and not repeat:
        yield _fenced("text", answer[:SHOWN_CHARS].replace("\r", ""))


def _sentence(cause: LeagueCause) -> str:
    sentence = cause.sentence if cause.sentence[:1].islower() else f"broken: {cause.sentence}"  # else it is the claim
    text = _neutral(" ".join(sentence.split()))
    return text if len(text) <= SENTENCE_CHARS else f"{text[:SENTENCE_CHARS]}…"


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
