"""What contract tests expect of an exchange, in words: each function raises `Refuted` with expected and found.

Nothing here raises anything else, however odd the response is.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

from lumen_conformance import schemas
from lumen_conformance.checks.findings import child
from lumen_conformance.contract.session import Talk
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer, said
from lumen_conformance.registry.refutation import expect, shorten
from lumen_conformance.schemas.descriptions import value_text

AROUND_CHARS = 20  # on either side of the first difference of two texts: one line of a report
SHOWN_BREACHES = 3  # of a schema: more of the same teach nothing
TEXT_CHARS = 60  # of a text in a sentence


def describe(seen: Capture) -> str:
    """A response in words: its status, how it ended, and the error or the text that it carries."""
    if seen.status is None:
        return f"no response: {seen.ended}{f', {seen.error}' if seen.error else ''}"
    error, text = child(answer(seen), "error"), said(seen)
    carried = f", the error {value_text(error)}" if error else ""
    carried = f", the text {shorten(text, TEXT_CHARS)}" if text else carried
    return f"status {seen.status}, {seen.ended}{f' ({seen.error})' if seen.error else ''}{carried}"


def expect_of(seen: Capture, holds: bool, wanted: str) -> None:  # noqa: FBT001 -- reads as an assertion
    """The claim holds; what was found is the response, in words that are made only where it does not hold."""
    if not holds:
        expect(holds, wanted, describe(seen))


def expect_status(seen: Capture, *statuses: int) -> None:
    """The response has one of these statuses."""
    expect_of(seen, seen.status in statuses, f"status {' or '.join(str(status) for status in statuses)}")


def expect_client_error(seen: Capture) -> None:
    """The response has a status from 400 to 499."""
    refused = seen.status is not None and 400 <= seen.status < 500
    expect_of(seen, refused, "a status from 400 to 499")


def expect_failure(seen: Capture) -> None:
    """The response has a status from 400 to 599, and no text of the assistant."""
    failed = seen.status is not None and 400 <= seen.status < 600
    expect_of(seen, failed and not said(seen), "a status from 400 to 599 and no text of the assistant")


def expect_complete(seen: Capture) -> None:
    """The response ends as its framing says, and the whole request was taken."""
    wanted = "a complete response, on a connection that is not reset"
    expect_of(seen, seen.ended == "complete" and seen.error is None, wanted)


def expect_text(seen: Capture, text: str, *, at: str = "") -> None:
    """The response has status 200 and exactly this text of the assistant; of long texts the difference is shown."""
    found = said(seen)
    if holds := (seen.status, found) == (200, text):
        return
    if seen.status != 200 or not found or len(text) <= TEXT_CHARS:
        told = f"{describe(seen)}{lookalike(found, text)}" if found else f"{describe(seen)}, no text"
        expect(holds, f"status 200 and the text {shorten(text, TEXT_CHARS)}", told, at=at)
        return
    place = first_difference(found, text)
    there = slice(max(0, place - AROUND_CHARS), place + AROUND_CHARS)
    wanted = f"status 200 and a text of {len(text)} characters, at character {place} {text[there]!r}"
    expect(holds, wanted, f"a text of {len(found)} characters, there {found[there]!r}", at=at)


def expect_answer(talk: Talk, seen: Capture, text: str, *, at: str = "") -> None:
    """A question was answered: with its own text where our gateway repeats it, else with any answer."""
    if "gateway" in talk.target.can:
        expect_text(seen, text, at=at)
    else:
        expect(talk.answered(seen, text), "status 200 and a complete answer with a choice", describe(seen), at=at)


def expect_words(talk: Talk, seen: Capture, text: str, *, at: str = "") -> None:
    """The same, and the answer has a text; a model gets a second question when it says nothing to the first."""
    expect_answer(talk, seen, text, at=at)
    last = talk.asked_again(seen)
    told = "" if last is seen else ", the second time, too"
    expect(bool(said(last)), "an answer with a text", f"{describe(last)}, no text{told}", at=at)


def expect_error(seen: Capture, status: int, *, kind: str | None = None, code: str) -> None:
    """The response is an error with this status, type and code."""
    error = child(answer(seen), "error")
    wanted = {"code": code} | ({"type": kind} if kind else {})
    named = ", ".join(f"{name} {value!r}" for name, value in sorted(wanted.items()))
    alike = seen.status == status and all(error.get(name) == value for name, value in wanted.items())
    expect_of(seen, alike, f"status {status} and an error of {named}")


def expect_header(seen: Capture, name: str, *values: str) -> None:
    """The response has this header exactly once, with this value; without a value: not at all."""
    found = seen.header_all(name.lower())
    wanted = f"the header {name}: {', '.join(values)}" if values else f"no header {name}"
    expect(found == values, wanted, told_header(seen, name))


def expect_word_in_header(seen: Capture, name: str, *words: str) -> None:
    """The comma-separated header has these words, in any case."""
    listed = {word.strip().lower() for word in ",".join(seen.header_all(name.lower())).split(",")}
    wanted = f"the header {name} with {', '.join(words)}"
    expect({word.lower() for word in words} <= listed, wanted, told_header(seen, name))


def told_header(seen: Capture, name: str) -> str:
    """A header as it was found."""
    found = seen.header_all(name.lower())
    return f"{name}: {', '.join(found)} (status {seen.status})" if found else f"no header {name} (status {seen.status})"


def expect_schema(seen: Capture, name: str, what: str) -> None:
    """The body fits a schema, which is about ``what``."""
    expect_shape(name, answer(seen), what, describe(seen))


def expect_shape(name: str, value: object, what: str, came: str = "") -> None:
    """A value fits a schema, which is about ``what``; ``came`` is the response that has it."""
    breaches = schemas.breaches(name, value)
    told = [f"{breach.found} at {_spelled(breach.path)}" for breach in breaches[:SHOWN_BREACHES]]
    more = len(breaches) - len(told)
    wanted = "; ".join(dict.fromkeys(breach.expected for breach in breaches[:SHOWN_BREACHES]))
    told += [f"and {more} more"] if more else []
    expect(not breaches, f"{what}: {wanted}", "; ".join(filter(None, [*told, came])))


def expect_one_call(calls: Sequence[ReceivedRequest], seen: Capture, method: str = "POST", path: str = "") -> None:
    """The gateway was asked exactly once for a response, by this method and, if one is given, at this path."""
    found = [f"{call.method} {call.path}" for call in calls]
    alike = [call.method == method and path in {"", call.path} for call in calls] == [True]
    where = f"{method} {path}".strip()
    expect(alike, f"exactly one request to the gateway, {where}", f"{', '.join(found) or 'none'}; {describe(seen)}")


def expect_equal(found: object, wanted: object, what: str) -> None:
    """A value is the one that is wanted; ``what`` names it."""
    expect(found == wanted, f"{what}: {shorten(wanted)}", f"{what}: {shorten(found)}")


def first_difference(one: str, other: str) -> int:
    """The place of the first character in which two texts differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def lookalike(found: str, wanted: str) -> str:
    """Where two texts differ that look the same to a reader; nothing for other texts."""
    if found == wanted or normalize("NFC", found) != normalize("NFC", wanted):
        return ""
    place = first_difference(found, wanted)
    there, due = (f"U+{ord(text[place]):04X}" if place < len(text) else "its end" for text in (found, wanted))
    return f", which looks the same but has {there} at character {place}, not {due}"


def _spelled(path: Sequence[str | int]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "$" + "".join(steps)
