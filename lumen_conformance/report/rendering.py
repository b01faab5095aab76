"""The templates of the pages, and what all pages have in common: names of outcomes and tiers, the icon, the causes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from lumen_conformance.registry.redaction import Redactor, redactor
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report.figures import format_figure, format_seconds
from lumen_conformance.report.history import points
from lumen_conformance.report.korean import of_pattern
from lumen_conformance.report.page_mask import masked
from lumen_conformance.report.result_groups import share_of_budget
from lumen_conformance.report.results import NEVER_RAN

UNCOLLECTED: Final = "uncollected"  # modules, which are no tests and have no rows
HEADLINE_CHARS: Final = 160  # of the name of a cause: two lines
MARKED_CHARS: Final = 60  # of the line of an exchange at which a check failed
EXAMPLE_CHARS: Final = 1_500  # of the texts of the exchange of a cause
FINDING_CHARS: Final = 400  # of an expected or found value in a cause, so that the command is on the first screen, too
LABELS: Final = {
    "failed": "failed",
    "error": "errors",
    UNCOLLECTED: "could not be collected",
    NEVER_RAN: "never ran",
    "not_judged": "not judged",
    "baselined": "known failures",
    "warned": "warned",
    "passed": "passed",
    "skipped": "not applicable",
}
TIER_TITLES: Final = {
    "M": "M: clients break without it",
    "S": "S: OpenAI does it",
    "W": "W: advice",
}
_PORT: Final = re.compile(r"://[^\s/]*:(\d+)")
_BYTE: Final = re.compile(r"\bbyte (\d+)$")
_TEMPLATES: Final = Path(__file__).parent / "templates"
_MASK: Final[ContextVar[Redactor]] = ContextVar("_MASK")  # of the page that is rendered


def _masked(value: object) -> object:
    """Return a value of a template with its secrets masked; markup has only values that were masked before."""
    return masked(value, _MASK.get()) if isinstance(value, str) and not isinstance(value, Markup) else value


ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, finalize=_masked,
)  # fmt: skip
ENVIRONMENT.globals |= {
    "figure_text": format_figure, "labels": LABELS, "tier_titles": TIER_TITLES, "of_pattern": of_pattern,
    "words_of_groups": ("passed", *(word for word in LABELS if word != "passed")),
}  # fmt: skip
ENVIRONMENT.filters |= {"seconds": format_seconds, "share": share_of_budget, "points": points}


def render(template: str, **values: object) -> str:
    """Return a page, the secrets of all values masked but not those of `Markup`."""
    token = _MASK.set(redactor())
    try:
        return ENVIRONMENT.get_template(template).render(**values)
    finally:
        _MASK.reset(token)


_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="{colour}"/>'
    '<text x="8" y="12" font-family="sans-serif" font-size="11" font-weight="700" text-anchor="middle" fill="#fff">'
    "{mark}</text></svg>"
)
_ICONS: Final = {"good": ("#24703f", "✓"), "bad": ("#b2352c", "✗"), "incomplete": ("#8a5600", "!")}


@dataclass(frozen=True)
class CauseExample:
    """What the first failure of a cause shows: its findings, the commands that repeat it, its exchange.

    ``remark``  why the request alone does not show the failure, or empty
    """

    findings: list[tuple[str, str]]
    repeat_command: str
    curl: str
    remark: str
    exchange: dict[str, str]

    @property
    def port(self) -> str:
        """The port in the command that sends the request, of a server that may have ended."""
        found = _PORT.search(self.curl)
        return found[1] if found else ""


def make_example(
    findings: list[tuple[str, str]],
    repeat_command: str,
    curl: str,
    exchange: Mapping[str, Any] | None,
    *,
    at: str = "",
    remark: str = "",
) -> CauseExample:
    """Return an example, its texts cut and without characters that a page obeys."""
    shown = [(name, visible(_cut(text, FINDING_CHARS))) for name, text in findings if text]
    exchanged = _exchange(exchange, at) if exchange else {}
    return CauseExample(shown, visible(repeat_command), visible(curl), remark, exchanged)


def _exchange(record: Mapping[str, Any], at: str) -> dict[str, str]:
    """Return the texts of an exchange, what is at the offset of a failure apart from what is before and after it."""
    request = record["request"][0] if record["request"] else record["url"]
    request_body, body = _body(record, "request_body"), _body(record, "body")
    response = [*record["response"], "", body] if record["response"] else [record["error"] or record["ended"]]
    text = "\n".join([*record["request"], "", request_body, "", *response])
    begin, end = _marked(body, at) if record["response"] else (0, 0)
    before = len(text) - len(body)
    parts = {"before": text[: before + begin], "marked": text[before + begin : before + end]}
    return {
        "line": visible(f"{request} → {record['status'] or record['ended']}"),
        **{name: visible(part) for name, part in {**parts, "after": text[before + end :]}.items()},
    }


def _marked(body: str, at: str) -> tuple[int, int]:
    """Return begin and end of what is marked in a body: from the byte of a failure to the end of its line."""
    found = _BYTE.search(at)
    begin = len(body.encode()[: int(found[1])].decode(errors="ignore")) if found else len(body)
    if begin >= len(body):
        return 0, 0
    line = body.find("\n", begin)
    return begin, min(begin + MARKED_CHARS, line if line > begin else len(body))


def _body(record: Mapping[str, Any], name: str) -> str:
    text = record[name]
    return f"{text[:EXAMPLE_CHARS]}…" if name in record["cut"] else _cut(text, EXAMPLE_CHARS)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"


def headline(sentence: str) -> str:
    """Return the name of a cause in one or two lines."""
    return visible(_cut(" ".join(sentence.split()), HEADLINE_CHARS))


def prose(text: str) -> Markup:
    """Return a text, masked and escaped, in which what is between backticks is code."""
    parts = re.split(r"`+([^`]+)`+", masked(text, _MASK.get()))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


def icon(tone: str) -> Markup:
    """Return the icon of a result as SVG for a URL."""
    colour, mark = _ICONS[tone]
    return Markup(quote(_ICON.format(colour=colour, mark=mark)))  # noqa: S704 -- of these constants


def now() -> str:
    """Return the time as the pages show it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


ENVIRONMENT.filters["prose"] = prose
