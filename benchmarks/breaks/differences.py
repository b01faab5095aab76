"""The differences between a visit of a fault and one of the healthy server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from breaks.visits import BOUND_S, Visit
from tests.contract.clients.client_process import Raised

Kind = Literal["breaks", "differs"]
REFUSED = ("refused", "refused-stream", "unknown-model")
SHOWN_CHARS = 100
PART_CHARS = 2  # of a text that is doubled: one character that also stands elsewhere is no part of it
# Addresses, ids, times and counts of bytes differ from run to run.
VARYING = re.compile(r"https?://\S+|0x[0-9a-f]+|[0-9a-f]{12,}|\d{4,}(\.\d+)?")


# Fact of a client → how it breaks.
OTHER = {
    "built": "joins wrongly",
    "answers": "loses answers",
    "calls": "other tool calls",
    "parsed": "other object",
    "listed": "loses models",
    "found": "loses models",
}


class Difference(NamedTuple):
    """One way in which a visit differs; ``breaks`` is evidence for tier M, ``differs`` for tier S."""

    kind: Kind
    word: str
    text: str


def differences(visit: Visit, healthy: Visit) -> Iterator[Difference]:
    """Every way in which a visit of a fault differs from that of the healthy server."""
    if visit.hangs:
        yield Difference("breaks", "hangs", f"hangs: no end within {BOUND_S:.0f} s")
        return
    if visit.error and not healthy.error:
        yield _new_error(visit.error)
    elif healthy.error and not visit.error:
        yield _unnoticed(visit)
    elif visit.error and healthy.error:
        yield from _reason(visit, healthy)
        yield from _other_error(visit.error, healthy.error)
    else:
        yield from _other_answer(visit, healthy)
    yield from _asked_again(visit, healthy)
    if visit.waits and not healthy.waits:
        yield Difference("breaks", "waits", "waits until the server closes, long after the last event")


def described(error: Raised) -> str:
    """The class of an error and the begin of its message, without ids and numbers."""
    first = " ".join(VARYING.sub("N", error.message).split())
    shown = first if len(first) <= SHOWN_CHARS else f"{first[:SHOWN_CHARS]}…"
    return f"{error.name}: {shown}" if shown else error.name


def _new_error(error: Raised) -> Difference:
    if error.by == "program":
        return Difference("breaks", "cannot be printed", f"gives a text that cannot be printed: {described(error)}")
    return Difference("breaks", "raises", f"raises {described(error)}")


def _unnoticed(visit: Visit) -> Difference:
    if visit.act in REFUSED and visit.text:
        return Difference("differs", "answered", "gets an answer to what should be refused")
    if answers := visit.fields.get("answers"):
        return Difference(
            "breaks", "loses answers", f"gets {len(answers)} of the answers that it asked for, in silence"
        )
    what = f"the text {visit.text[:30]!r}" if visit.text else "an empty answer"
    return Difference("breaks", "unnoticed", f"does not notice the failure, takes it for {what}")


def _reason(visit: Visit, healthy: Visit) -> Iterator[Difference]:
    """The message lacks the reason that it has with the healthy server: lost by the client, or not sent."""
    assert visit.error
    assert healthy.error
    if healthy.reason in healthy.error.message and healthy.reason not in visit.error.message:
        if visit.reason == healthy.reason:
            yield Difference("breaks", "loses the reason", f"loses the reason: {described(visit.error)}")
        else:
            yield Difference("differs", "no reason", f"is given no reason: {described(visit.error)}")


def _other_error(error: Raised, healthy: Raised) -> Iterator[Difference]:
    if error.name != healthy.name:
        yield Difference("differs", "other error", f"raises {error.name} instead of {healthy.name}")
    if error.status != healthy.status:
        yield Difference("differs", "other status", f"status {error.status} instead of {healthy.status}")
    if error.code != healthy.code:
        yield Difference("differs", "other code", f"code {error.code} instead of {healthy.code}")


def _other_answer(visit: Visit, healthy: Visit) -> Iterator[Difference]:
    if visit.text != healthy.text and "calls" not in healthy.fields:
        yield _other_text(visit.text, healthy.text)
    for name, word in OTHER.items():
        if visit.fields.get(name) != healthy.fields.get(name):
            yield Difference("breaks", word, _shown(name, visit.fields, healthy.fields))
    for name in ("finish", "usage"):
        if _known(visit.fields.get(name)) != _known(healthy.fields.get(name)):
            yield Difference("differs", f"other {name}", _shown(name, *(
                {name: _known(each.fields.get(name))} for each in (visit, healthy))))  # fmt: skip


def _other_text(text: str, healthy: str) -> Difference:
    counts = f"{len(text)} characters instead of {len(healthy)}"
    if len(text) < len(healthy):
        return Difference("breaks", "loses text", f"loses text: {counts}")
    if _repeats(text, healthy):
        return Difference("breaks", "doubles text", f"doubles text: {counts}")
    if _has_all(text, healthy):
        return Difference("differs", "changes text", f"changes text: {counts}, nothing is lost")
    return Difference("breaks", "changes text", f"changes text: {counts}")


def _has_all(text: str, healthy: str) -> bool:
    """Whether the text has all characters of the healthy one in their order."""
    rest = iter(text)
    return all(each in rest for each in healthy)


def _repeats(text: str, healthy: str) -> bool:
    """Whether a longer text consists of parts of the healthy one, so that some parts are repeated."""
    rest = text if len(text) > len(healthy) else ""
    while len(rest) >= PART_CHARS and rest[:PART_CHARS] in healthy:
        part = next(end for end in range(len(rest), 0, -1) if rest[:end] in healthy)
        rest = rest[part:]
    return len(text) > len(healthy) and not rest


def _asked_again(visit: Visit, healthy: Visit) -> Iterator[Difference]:
    if visit.paid > max(healthy.paid, 1):
        yield Difference("breaks", "pays again", f"pays {visit.paid} times instead of {max(healthy.paid, 1)}")
    elif visit.asked > healthy.asked:
        yield Difference("breaks", "asks again", f"asks {visit.asked} times instead of {healthy.asked}")
    elif visit.asked < healthy.asked:
        yield Difference("differs", "gives up", f"asks {visit.asked} times instead of {healthy.asked}")


def _known(fact: Any) -> Any:  # noqa: ANN401 -- any fact of a client
    """The counts of a usage, which some clients keep among others that vary."""
    if isinstance(fact, dict):
        return {name: fact.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return fact


def _shown(name: str, fields: dict[str, Any], healthy: dict[str, Any]) -> str:
    found, expected = (_cut(str(each.get(name))) for each in (fields, healthy))
    return f"{name}: {found} instead of {expected}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS and text.isprintable() else f"{len(text)} characters"


def by_server(visits: Sequence[Visit], baseline_of: dict[str, str]) -> dict[str, dict[str, list[Difference]]]:
    """Server → act → differences, where there are any; raises LookupError when a healthy visit is missing."""
    healthy = {(visit.server, visit.act): visit for visit in visits}
    found: dict[str, dict[str, list[Difference]]] = {}
    for visit in visits:
        differing = list(differences(visit, healthy[baseline_of[visit.server], visit.act]))
        if differing:
            found.setdefault(visit.server, {})[visit.act] = differing
    return found
