"""``--github-summary FILE``: a Markdown summary and annotations for GitHub Actions.

The Markdown is appended, as the file named by ``GITHUB_STEP_SUMMARY`` may hold the summaries of other tools:
https://docs.github.com/actions/reference/workflow-commands-for-github-actions. A step shows ten errors and ten warnings
at most, so that further ones are only in the Markdown.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.report.causes import causes_of, unjudged_without_cause
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.figures import format_seconds
from lumen_conformance.report.layers import deciding_layer, layer_results
from lumen_conformance.report.results import RESULTS, Result, Results
from lumen_conformance.report.run_result import summarize_run
from lumen_conformance.report.under_test import TARGET, repeat_command

MOST_ANNOTATIONS: Final = 10  # of each level: GitHub shows no more for a step
MOST_ACCEPTED: Final = 2**20  # bytes of the file of a step: GitHub refuses a larger one
MOST_BYTES: Final = 1_000_000  # so that a last line fits
MOST_ROWS: Final = 200  # of a table
LONGEST_CELL: Final = 600  # characters
LONGEST_ANNOTATION: Final = 2_000
MOST_REPEATED: Final = 10  # checks in one command
MOST_NAMES: Final = 20  # of tests that never ran
MOST_SLOW: Final = 5
SLOW_S: Final = 1.0
_TOKEN: Final = pytest.StashKey[str]()


def configure(config: pytest.Config) -> None:
    """Refuse a file that cannot be written."""
    if path := _path(config):
        output_paths.refuse_unwritable("--github-summary", path)


def stop_commands(config: pytest.Config) -> None:
    """Let GitHub ignore commands in what is printed: a failure shows texts of the server, which could be a command."""
    in_workflow = os.environ.get("GITHUB_ACTIONS") == "true" and shared_files.reports(config)
    if in_workflow or _path(config):
        config.stash[_TOKEN] = secrets.token_hex(16)
        _print(config, f"::stop-commands::{config.stash[_TOKEN]}")


def write(session: pytest.Session) -> None:
    """Append the summary, and print the annotations."""
    config = session.config
    if path := _path(config):
        text = fitting(markdown(session), path.stat().st_size if path.is_file() else 0)
        _print(config, f"::{config.stash[_TOKEN]}::")
        # The maintainer of another server has none of the files of the checks: an annotation would be at no line.
        for line in workflow_commands(config.stash[RESULTS]) if TARGET not in config.stash else ():
            _print(config, line)
        _print(config, f"::stop-commands::{config.stash[_TOKEN]}")
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)


def restore(config: pytest.Config) -> None:
    """Let GitHub obey commands again, those of the next program."""
    if token := config.stash.get(_TOKEN, None):
        print(f"::{token}::", flush=True)  # noqa: T201 -- the terminal reporter has ended


def _path(config: pytest.Config) -> Path | None:
    """Return the file in the process that reports."""
    return output_paths.given(config, "--github-summary") if shared_files.reports(config) else None


def _print(config: pytest.Config, line: str) -> None:
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        reporter.ensure_newline()
        reporter.write_line(line)


def fitting(text: str, used: int = 0) -> str:
    """Return the lines that GitHub accepts behind so many bytes, and how many are left out.

    Korean has three bytes a character.
    """
    lines = text.splitlines(keepends=True)
    ends = accumulate((len(line.encode("utf-8", "backslashreplace")) for line in lines), initial=used)
    fit = sum(end <= MOST_BYTES for end in ends) - 1
    if fit == len(lines):
        return text
    more = f"\n{len(lines) - max(0, fit)} more lines in the report\n"
    return "".join(lines[: max(0, fit)]) + more * (used + len(more) < MOST_ACCEPTED)


def markdown(session: pytest.Session) -> str:
    """Return the summary of a run: the verdict, the causes, the failures, what took longest, how to repeat it."""
    config, results = session.config, session.config.stash[RESULTS]
    ending = summarize_run(int(session.exitstatus), results)
    ended = results.results
    lines = [
        f"## {_code(config.stash[TARGET]) if TARGET in config.stash else 'Conformance'}: {ending.word}",
        "",
        _cell(ending.sentence),
        "",
    ]
    if layers := layer_results(config, results):
        decides = deciding_layer(config)
        lines += ["| layer | result |", "|---|---|"]
        lines += [f"| {name}{' (decides)' * (name == decides)} | {word} |" for name, word in layers.items()]
        lines += [""]
    causes = causes_of(ended)
    if causes:
        lines += ["### Causes", "", *(f"- {_code(each.sentence)} ({each.size})" for each in causes[:MOST_ROWS]), ""]
        first = [each.entry for each in ended if each.name in causes[0].checks[:MOST_REPEATED]]
        lines += ["The largest cause again:", "", *_fenced(_command(config, first)), ""]
    if missing := [_code(each.name) for each in results.missing]:
        more = f" and {len(missing) - MOST_NAMES} more" if len(missing) > MOST_NAMES else ""
        lines += ["### Never ran", "", ", ".join(missing[:MOST_NAMES]) + more, ""]
    lines += _table("Not judged", unjudged_without_cause(results, causes))
    lines += _table("Failures", [each for each in ended if each.outcome in {"failed", "error"}])
    lines += _table("Not as OpenAI does it, and no client breaks", [each for each in ended if each.reported])
    lines += _slowest(ended)
    return "\n".join(lines) + "\n"


def _command(config: pytest.Config, entries: Sequence[ReportEntry]) -> str:
    """Return the command for as many of these checks as it has room for; it is never cut."""
    commands = [repeat_command(config, entries[:number]) for number in range(len(entries), 0, -1)]
    return next((each for each in commands if len(each) <= LONGEST_CELL), commands[-1])


def _fenced(command: str) -> list[str]:
    """Return the lines of a block of code, whose fence is longer than each run of backticks in it."""
    fence = "`" * max(3, _longest_backticks(command) + 1)
    return [f"{fence}sh", command, fence]


def _longest_backticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _slowest(results: Sequence[Result]) -> list[str]:
    """Return the tests that took longest; none where all are fast."""
    found = sorted(results, key=lambda each: -each.duration_s)[:MOST_SLOW]
    rows = [f"| {_name(each)} | {format_seconds(each.duration_s)} |" for each in found if each.duration_s >= SLOW_S]
    return ["### Slowest", "", "| check | time |", "|---|---|", *rows, ""] if rows else []


def _table(title: str, results: list[Result]) -> list[str]:
    if not results:
        return []
    rows = [
        f"| {_name(each)} | {each.entry.tier} | {_cell(each.entry.claim)} | {_in_table(_code(_what(each)))} |"
        for each in results[:MOST_ROWS]
    ]
    more = [f"and {len(results) - MOST_ROWS} more in the report", ""] if len(results) > MOST_ROWS else []
    return [f"### {title}", "", "| check | tier | claim | result |", "|---|---|---|---|", *rows, "", *more]


def _what(result: Result) -> str:
    """What a failed check expected and found; for another failure, its reason."""
    if result.failure is None:
        return result.reason
    return f"expected {result.failure.expected}; found {result.failure.found}"


def _name(result: Result) -> str:
    """Return the id of a check, which is plain text, or the pytest id of another test."""
    return _cell(result.name) if result.entry.check_id else _in_table(_code(result.name))


def _code(text: str) -> str:
    """Return a text of a server or of the user as a code span in one line: no markup, link or mention is obeyed in it.

    The fence is longer than each run of backticks in it.
    """
    line = _shortened(text)
    fence, blank = "`" * (_longest_backticks(line) + 1), " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{blank}{line}{blank}{fence}" if line else ""


def _in_table(code: str) -> str:
    """Return a code span with an odd number of backslashes before each pipe, which would end the cell otherwise.

    https://github.github.com/gfm/#tables-extension-
    """
    return re.sub(r"(\\*)\|", lambda found: found[1] + "\\" * (1 + len(found[1]) % 2) + "|", code)


def _cell(text: str) -> str:
    """Return a text of the suite in one line, without markup."""
    return re.sub(r"[\\`*_\[\]<>|]", r"\\\g<0>", _shortened(text))


def _shortened(text: str) -> str:
    return " ".join((text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…").split())


def workflow_commands(results: Results) -> Iterator[str]:
    """Yield the workflow commands of our own proxy: an error at the declaration of each check that fails the run."""
    levels = {
        "error": [*(each for each in results.results if each.outcome in {"failed", "error"}), *results.unjudged],
        "warning": [each for each in results.results if each.reported],
    }
    for level, found in levels.items():
        for each in found[:MOST_ANNOTATIONS]:
            title = _escaped(f"{each.name} ({each.entry.tier})").replace(":", "%3A").replace(",", "%2C")
            file, line, _ = results.reports_of(each.entry.nodeid)[0].location
            place = f"file={_escaped(Path(file).as_posix())},line={(line or 0) + 1},"
            text = f"{each.entry.claim}: {_what(each)}"[:LONGEST_ANNOTATION]
            yield f"::{level} {place}title={title}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
