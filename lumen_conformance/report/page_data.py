"""The data of the page: one entry for each check, which ``page.js`` shows when somebody opens it.

A run of all tests has thousands of entries, so they are short. An entry has only fields that differ from the usual:

=========  =========================================================================================
``m, n``   the module, by its place in ``modules``, and the rest of the pytest id
``i``      the name of the check (its id with parameters); absent for a test without a number
``g``      the group, by its place in ``groups``
``o``      the outcome, if it is not ``passed``
``t``      the tier, if it is not M
``c``      the claim, by its place in ``claims``
``ko``     its Korean title, and ``kc`` its Korean claim
``s``      seconds
``f``      the figures: value, budget, share of the budget, label
``r``      the reason, expected, found and so on: see `_details`
``x``      the exchanges, by their places in ``exchanges``
``l``      the logs of its stage, by their places in ``logs``
``w``      the lines of them that were written in its own steps: the place of the log, first and last line of each part
``a``      the cause, by its place on the page; ``b``: those that a check waits for that was not judged
``new``    1 if it did not fail in the run before (`--history`); ``flips``: how often that changed
=========  =========================================================================================

The texts repeat each other, so the data are compressed: a tenth is left. Every text is shown as text, never as
markup. Secrets are masked in each text before it is written as JSON: a mask that
reads JSON does not know a secret with a character that JSON escapes.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

import lumen_conformance
from lumen_conformance.registry.measurement import EXCHANGE, HELD, OBSERVED, STEPS, WARNING, Measurement
from lumen_conformance.registry.redaction import Redactor, redactor
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report import korean
from lumen_conformance.report.baseline import BASELINED
from lumen_conformance.report.causes import Cause
from lumen_conformance.report.counts import deciding_report
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.exchange_evidence import remark_on_curl, with_files
from lumen_conformance.report.figures import format_figure
from lumen_conformance.report.history import History
from lumen_conformance.report.log_excerpts import LogExcerpt
from lumen_conformance.report.log_lines import lines_in
from lumen_conformance.report.page_mask import masked
from lumen_conformance.report.result_groups import ResultGroup, share_of_budget
from lumen_conformance.report.results import NEVER_RAN, Result, Results, properties
from lumen_conformance.schemas.descriptions import format_value

LONGEST_LOG: Final = 20_000  # characters of the failure and the output of one test
LONGEST_OUTPUT: Final = 1_000  # characters of the output of a test that passed
LONGEST_TEXT: Final = 2_000  # characters of an expected or found value
MOST_FIELDS: Final = 30  # of the evidence that one check has read
_STATED: Final = ("last exchange", "failure of tier S", "failure of tier W")  # sections that repeat the findings
_CATALOGUE: Final = Path(lumen_conformance.__file__).with_name("catalogue.json")


class PageData:
    """Collects the entries of a page; ``groups`` are in the order of the page."""

    def __init__(
        self,
        results: Results,
        groups: Sequence[ResultGroup],
        causes: Sequence[Cause],
        earlier: History,
        *,
        logs: Mapping[str, Sequence[LogExcerpt]],
        folder: Path,
    ) -> None:
        self._results, self._earlier, self._folder = results, earlier, folder
        every = {each.name: each for found in logs.values() for each in found}
        self._logs, places = list(every.values()), {name: place for place, name in enumerate(every)}
        self._logs_at = {path: [places[each.name] for each in found] for path, found in logs.items()}
        self._mask = redactor()
        self._modules, self._claims, self._exchanges = ValueTable(), ValueTable(), ValueTable()
        self._causes = {name: place for place, cause in reversed(list(enumerate(causes))) for name in cause.checks}
        self._awaited: dict[str, list[int]] = {}
        for place, cause in enumerate(causes):
            for name in cause.not_judged:
                self._awaited.setdefault(name, []).append(place)
        self._checks = [each for place, group in enumerate(groups) for each in self._entries(place, group)]
        self._groups = [
            {"number": each.number, "name": each.name, "l": self._logs_of(*each.results)} for each in groups
        ]

    def packed(self, **texts: object) -> Markup:
        """Return the data as JSON, compressed, in base64; ``texts`` are added as they are."""
        data = texts | {
            "groups": self._groups,
            "modules": self._modules.values,
            "claims": self._claims.values,
            "checks": self._checks,
            "logs": [{"name": each.name, "text": each.text, "cut_bytes": each.cut_bytes} for each in self._logs],
            "exchanges": linked(self._exchanges, self._folder),
        }
        return pack(data, self._mask)

    def _logs_of(self, *results: Result) -> list[int]:
        places = (place for each in results for path in each.evidence for place in self._logs_at.get(path, ()))
        return list(dict.fromkeys(places))

    def _step_lines(self, result: Result) -> dict[int, list[tuple[int, int]]]:
        reports = self._results.reports_of(result.entry.nodeid)
        steps = [each for found in properties(reports, STEPS) for each in found]
        lines = {
            place: lines_in(log.name, log.written, steps, log.early)
            for place, log in ((place, self._logs[place]) for place in self._logs_of(result))
        }
        return {place: found for place, found in lines.items() if found}

    def _entries(self, place: int, group: ResultGroup) -> Iterator[dict[str, Any]]:
        tests: list[Result | ReportEntry] = [*group.results, *group.missing]
        for each in sorted(tests, key=_order):
            yield self._ended(each, place) if isinstance(each, Result) else self._missing(each, place)

    def _head(self, entry: ReportEntry, group: int) -> dict[str, Any]:
        module, _, name = entry.nodeid.partition("::")
        optional = {"i": entry.name if entry.check_id else "", "t": "" if entry.tier == "M" else entry.tier}
        optional |= {"ko": entry.title, "kc": korean.claims().get(entry.plain_id, "")}
        return {
            "m": self._modules.number(module),
            "n": name,
            "g": group,
            "c": self._claims.number(entry.claim or entry.nodeid),
            **{key: value for key, value in optional.items() if value},
        }

    def _missing(self, entry: ReportEntry, group: int) -> dict[str, Any]:
        return self._head(entry, group) | {"o": NEVER_RAN, "r": with_korean("the run ended before it")}

    def _ended(self, result: Result, group: int) -> dict[str, Any]:
        reports = self._results.reports_of(result.entry.nodeid)
        exchanges = [self._exchanges.number(json.dumps(each)) for each in properties(reports, EXCHANGE)]
        optional = {
            "o": "" if result.outcome == "passed" else result.outcome,
            "f": [_figure(each) for each in result.measurements],
            "r": self._details(result),
            "x": exchanges,
            "l": self._logs_of(result),
            "w": self._step_lines(result),
            "s": round(result.duration_s, 4),
            "new": int(self._earlier.is_new(result)),
            "flips": self._earlier.flips(result),
            "b": self._awaited.get(result.name, []),
        }
        found = self._head(result.entry, group) | {key: value for key, value in optional.items() if value}
        if (cause := self._causes.get(result.name)) is not None:
            found["a"] = cause
        return found

    def _details(self, result: Result) -> dict[str, Any]:
        """What a reader sees when the check is opened, and its source and the clients that break without it."""
        reports, entry = self._results.reports_of(result.entry.nodeid), result.entry
        known = catalogue().get(entry.plain_id, {})
        failure = result.failure
        observed = properties(reports, OBSERVED)
        fields = observed[0] if observed else []
        details: dict[str, Any] = {
            "source": entry.source or known.get("source", ""),
            "breaks": known.get("evidence", "") if entry.check_id else "",
            "observed": [[path, format_value(value)] for path, value in fields[:MOST_FIELDS]],
            "held": [each for found in properties(reports, HELD) for each in found],
            "warnings": [each[:LONGEST_TEXT] for each in properties(reports, WARNING)],
            "known": [each[:LONGEST_TEXT] for each in properties(reports, BASELINED)],
            "because": list(result.explained_by),
            "log": _log(result, self._results),
            **with_korean("" if result.outcome == "passed" else result.reason[:LONGEST_TEXT]),
        }
        if failure:
            details |= {name: getattr(failure, name)[:LONGEST_TEXT] for name in ("expected", "found", "at", "excerpt")}
            remark = remark_on_curl(entry, properties(reports, EXCHANGE)) if failure.curl else ""
            details |= {"dump": failure.dump, "curl": failure.curl, "curl_remark": remark}
        return {key: value for key, value in details.items() if value}


def with_korean(reason: str) -> dict[str, str]:
    """Return a reason, and its Korean text if it is one of the suite."""
    return {"reason": reason, "reason_ko": korean.of_reason(reason)}


def linked(exchanges: ValueTable, folder: Path) -> list[dict[str, Any]]:
    """Return exchanges with links to their files for a page in a folder; a link is empty without its file."""

    def link(path: Path) -> str:
        if not path.is_file():
            return ""
        try:
            return quote(Path(os.path.relpath(path, folder)).as_posix())
        except ValueError:  # another drive
            return path.absolute().as_uri()

    return [with_files(json.loads(each), link) for each in exchanges.values]


def pack(data: object, mask: Redactor) -> Markup:
    """Return data, secrets masked, as JSON that is compressed and in base64, so that no text can look like markup."""
    text = json.dumps(_mask_all(data, mask), ensure_ascii=False, separators=(",", ":"))
    coded = b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), mtime=0)).decode()
    return Markup(coded)  # noqa: S704 -- base64 has no character of markup


def _order(each: Result | ReportEntry) -> tuple[bool, list[int]]:
    """Return a key that sorts as people count: 1.2 before 1.10, tests without a number last."""
    check_id = each.entry.check_id if isinstance(each, Result) else each.check_id
    return not check_id, [int(number) for number in re.findall(r"\d+", check_id.partition("-")[0])]


class ValueTable:
    """Values, each once, and their places."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, value: str) -> int:
        """Return the place of a value."""
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[str]:
        """The values in the order of their places."""
        return list(self._numbers)


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """Return what is known of each check of the suite: its source, and the clients that break without it."""
    return {each["id"]: each for each in json.loads(_CATALOGUE.read_text("utf-8"))}


def _figure(figure: Measurement) -> list[Any]:
    budget = None if figure.budget is None else format_figure(figure.budget, figure.unit)
    return [format_figure(figure.value, figure.unit), budget, round(share_of_budget(figure), 3), figure.label]


def _log(result: Result, results: Results) -> str:
    """Return the text of a failure and what the test has printed; the middle of a long text is left out."""
    report = deciding_report(result, results.reports_of(result.entry.nodeid))
    stated = result.failure is not None  # then the findings and the exchanges say the same
    sections = [(name, text) for name, text in report.sections if not (stated and name in _STATED)]
    parts = [
        "" if stated or not report.failed else report.longreprtext,
        *(f"--- {name}\n{text}" for name, text in sections),
    ]
    text = "\n".join(filter(None, parts))
    longest = LONGEST_LOG if report.failed else LONGEST_OUTPUT
    half, left_out = longest // 2, len(text) - longest
    return text if left_out <= 0 else f"{text[:half]}\n… {left_out} characters left out …\n{text[-half:]}"


def _mask_all(value: Any, mask: Redactor) -> Any:  # noqa: ANN401 -- any JSON
    """Return the value with the secrets of all texts masked, and with escapes for characters that a page obeys."""
    if isinstance(value, str):
        return visible(masked(value, mask))
    if isinstance(value, dict):
        return {key: _mask_all(each, mask) for key, each in value.items()}
    return [_mask_all(each, mask) for each in value] if isinstance(value, list | tuple) else value
