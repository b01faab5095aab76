r"""What stands at the end of a run: the baseline, the causes, the scenarios, the layers.

A console shows the characters that its encoding has, and an escape such as ``\u2192`` in the place of each other one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.baseline import BASELINE, listed_as
from lumen_conformance.report.causes import causes_of
from lumen_conformance.report.chapters import Chapter, chapters
from lumen_conformance.report.layers import MEANINGS, deciding_layer, words_of
from lumen_conformance.report.results import RESULTS, Result, Results
from lumen_conformance.report.run_result import SHOWN_LESS, ending_of, told_counts

_NAME_COLUMNS: Final = 48
_SENTENCE_COLUMNS: Final = 160  # two lines of a usual console
_MOST_NAMES: Final = 6  # of the checks of one cause: the verdicts have all of them
_ROW: Final = "{number:>2} {name:<48} {checks:>9}  {headline}"


def print_sections(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print what the baseline knows, the causes and scenarios unless the run is to be quiet, and the last words."""
    if not shared_files.reports(config):
        return
    results = config.stash[RESULTS]
    _section(terminalreporter, "baseline", baseline_lines(config))
    if config.get_verbosity() >= 0:
        _section(terminalreporter, "causes", cause_lines(results.results))
        _section(terminalreporter, "scenarios", table([each for each in chapters(results) if each.number]))
    words = words_of(config, results)
    _section(terminalreporter, "layers", layer_lines(words, deciding_layer(config)))
    _section(terminalreporter, "result", ending_lines(exitstatus, results, shown=bool(words)))


def _section(reporter: pytest.TerminalReporter, title: str, lines: Iterable[str]) -> None:
    """Write lines below a title; nothing when there are none."""
    encoding = getattr(reporter._tw._file, "encoding", None) or "ascii"  # noqa: SLF001 -- pytest has no other name for it
    for number, line in enumerate(lines):
        if number == 0:
            reporter.write_sep("-", title)
        reporter.write_line(printable(line, encoding))


def printable(text: str, encoding: str) -> str:
    """Return a text with an escape for each character that an encoding lacks."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def cause_lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield how many checks have how many causes, and for each cause what is wrong and which checks it explains."""
    causes = causes_of(results)
    if causes:
        yield f"{', '.join(told_counts(results))}; {_number(len(causes), 'cause')}:"
    for each in causes:
        strict = "" if each.tier == "M" else " (strict)"
        yield f"{len(each.checks):>4}  {_shortened(each.sentence, _SENTENCE_COLUMNS)}{strict}"
        others = f"; not judged because of it: {len(each.not_judged)}" if each.not_judged else ""
        yield f"      {_few(each.checks)}{others}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def layer_lines(words: Mapping[str, str], deciding: str) -> Iterator[str]:
    """Yield the word of each layer of a foreign target, and which one the exit status follows."""
    yield from (f"{name:<8} ({MEANINGS[name]}): {word}" for name, word in words.items())
    if words:
        yield f"the exit status follows {deciding}"


def ending_lines(exit_status: int, results: Results, *, shown: bool) -> Iterator[str]:
    """Yield the last word, if it is shown of every run or of one that shows less than it seems to, and why."""
    ending = ending_of(exit_status, results)
    if shown or ending.word in SHOWN_LESS:
        yield f"{ending.word}: {ending.sentence}"
    if results.unjudged:
        yield f"not judged: {_few([each.name for each in results.unjudged])}"


def baseline_lines(config: pytest.Config) -> Iterator[str]:
    """Yield a line for each check that the baseline lists: known, or passing and therefore red."""
    known = config.stash[BASELINE]
    for each in config.stash[RESULTS].results if known else ():
        name = listed_as(known, each.entry.check_id, each.entry.parameters)
        if name and each.outcome in {"baselined", "failed"}:
            word = "known" if each.outcome == "baselined" else "FAILED"
            shown = " ".join(filter(None, [each.entry.check_id, each.entry.parameters]))
            yield f"{word} {shown}: {each.reason}"


def table(scenarios: list[Chapter]) -> Iterator[str]:
    """Yield the lines of the table; none without a scenario."""
    if not scenarios:
        return
    yield _ROW.format(number="no", name="scenario", checks="held", headline="time of budget")
    for each in scenarios:
        yield _ROW.format(
            number=each.number,
            name=_shortened(each.name, _NAME_COLUMNS),
            checks=f"{each.held}/{each.total}",
            headline=_headline(each),
        )


def _headline(chapter: Chapter) -> str:
    figure = chapter.headline
    if figure is None:
        return "-"
    budget = f" of {figure.budget:g} {figure.unit}" if figure.budget else ""
    return f"{figure.value:.3g} {figure.unit}{budget}"


def _shortened(name: str, columns: int) -> str:
    return name if len(name) <= columns else f"{name[: columns - 3]}..."
