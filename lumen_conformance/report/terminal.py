r"""Print sections at the end of a run: baseline, causes, scenarios, layers, result.

A character that the encoding of the console lacks is printed as an escape, such as ``\u2192``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.baseline import BASELINE, listed_as
from lumen_conformance.report.causes import TIERS, causes_of
from lumen_conformance.report.layers import MEANINGS, deciding_layer, layer_results
from lumen_conformance.report.result_groups import ResultGroup, group_results
from lumen_conformance.report.results import RESULTS, Result, Results
from lumen_conformance.report.run_result import PARTIAL_RESULTS, describe_counts, summarize_run

_NAME_COLUMNS: Final = 48
_SENTENCE_COLUMNS: Final = 160  # two lines of an 80-column console
_MOST_NAMES: Final = 6  # of one cause; the verdicts have all of them
_ROW: Final = "{number:>2} {name:<48} {checks:>9}  {headline}"


def print_sections(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print the sections; with ``-q`` without causes and scenarios."""
    if config.option.collectonly or not shared_files.reports(config):
        return
    results = config.stash[RESULTS]
    _section(terminalreporter, "baseline", baseline_lines(config))
    if config.get_verbosity() >= 0:
        _section(terminalreporter, "causes", cause_lines(results.results))
        _section(
            terminalreporter,
            "scenarios",
            table([each for each in group_results(results) if each.number and each.total]),
        )
    layers = layer_results(config, results)
    _section(terminalreporter, "layers", layer_lines(layers, deciding_layer(config)))
    _section(terminalreporter, "result", result_lines(exitstatus, results, always=bool(layers)))


def _section(reporter: pytest.TerminalReporter, title: str, lines: Iterable[str]) -> None:
    """Print lines below a title; print nothing without lines."""
    encoding = getattr(reporter._tw._file, "encoding", None) or "ascii"  # noqa: SLF001 -- there is no public name
    for number, line in enumerate(lines):
        if number == 0:
            reporter.write_sep("-", title)
        reporter.write_line(printable(line, encoding))


def printable(text: str, encoding: str) -> str:
    """Return a text with an escape for each character that an encoding lacks."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def cause_lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield the number of causes, then each cause with its checks."""
    causes = causes_of(results)
    if causes:
        first = ", first those that fail the run" if len(causes) > 1 else ""
        yield f"{', '.join(describe_counts(results))}; {_number(len(causes), 'cause')}{first}:"
    for each in causes:
        yield f"{len(each.checks):>4}  {_shortened(each.sentence, _SENTENCE_COLUMNS)} ({each.size})"
        yield f"      {_few(each.checks)}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def layer_lines(layers: Mapping[str, str], deciding: str) -> Iterator[str]:
    """Yield the result of each layer of a foreign target, and the layer that the exit status follows."""
    yield from (f"{name:<8} ({MEANINGS[name]}): {result}" for name, result in layers.items())
    if layers:
        yield f"the exit status follows {deciding}"


def result_lines(exit_status: int, results: Results, *, always: bool) -> Iterator[str]:
    """Yield the result of the run, always or only if it is not a plain success or failure."""
    result = summarize_run(exit_status, results)
    if always or result.word in PARTIAL_RESULTS:
        yield f"{result.word}: {result.sentence}"
    if results.unjudged:
        tiers = " and ".join(sorted({each.entry.tier for each in results.unjudged}, key=TIERS.index))
        yield f"not judged, tier {tiers}: {_few([each.name for each in results.unjudged])}"
    if results.missing:
        yield f"never ran: {_few([_shortened(each.name, _SENTENCE_COLUMNS) for each in results.missing])}"


def baseline_lines(config: pytest.Config) -> Iterator[str]:
    """Yield a line for each listed check: a known failure, or a check that passes and fails the run."""
    known = config.stash[BASELINE]
    for each in config.stash[RESULTS].results if known else ():
        name = listed_as(known, each.entry.check_id, each.entry.parameters)
        if name and each.outcome in {"baselined", "failed"}:
            word = "known" if each.outcome == "baselined" else "FAILED"
            yield f"{word} {each.name}: {each.reason}"


def table(scenarios: list[ResultGroup]) -> Iterator[str]:
    """Yield the lines of the table; none without scenarios."""
    if not scenarios:
        return
    yield _ROW.format(number="no", name="scenario", checks="passed", headline="time of budget")
    for each in scenarios:
        yield _ROW.format(
            number=each.number,
            name=_shortened(each.name, _NAME_COLUMNS),
            checks=f"{each.passed}/{each.total}",
            headline=_headline(each) + (f"  {each.warned} warned" if each.warned else ""),
        )


def _headline(group: ResultGroup) -> str:
    figure = group.headline
    if figure is None:
        return "-"
    budget = f" of {figure.budget:g} {figure.unit}" if figure.budget else ""
    return f"{figure.value:.3g} {figure.unit}{budget}{f' ({figure.label})' if figure.label else ''}"


def _shortened(name: str, columns: int) -> str:
    return name if len(name) <= columns else f"{name[: columns - 3]}..."
