"""What a client makes of a fault, beside what it makes of the healthy server: only a difference counts."""

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


# Facts → what a client makes of a fault.
OTHER = {
    "built": "joins wrongly",
    "answers": "loses answers",
    "calls": "other tool calls",
    "listed": "loses models",
    "found": "loses models",
}


class Difference(NamedTuple):
    """One way in which a visit differs; ``breaks`` is what tier M asks for, ``differs`` what a user can notice."""

    kind: Kind
    word: str
    text: str


def differences(seen: Visit, healthy: Visit) -> Iterator[Difference]:
    """Every way in which a visit of a fault differs from that of the healthy server."""
    if seen.hangs:
        yield Difference("breaks", "hangs", f"hangs: no end within {BOUND_S:.0f} s")
        return
    if seen.error and not healthy.error:
        yield _new_error(seen.error)
    elif healthy.error and not seen.error:
        yield _unnoticed(seen)
    elif seen.error and healthy.error:
        yield from _reason(seen, healthy)
        yield from _other_error(seen.error, healthy.error)
    else:
        yield from _other_answer(seen, healthy)
    yield from _asked_again(seen, healthy)
    if seen.waits and not healthy.waits:
        yield Difference("breaks", "waits", "waits until the server closes, long after the last event")


def described(error: Raised) -> str:
    """An error by its class and the begin of its message, without what varies."""
    first = " ".join(VARYING.sub("N", error.message).split())
    shown = first if len(first) <= SHOWN_CHARS else f"{first[:SHOWN_CHARS]}…"
    return f"{error.name}: {shown}" if shown else error.name


def _new_error(error: Raised) -> Difference:
    if error.by == "program":
        return Difference("breaks", "cannot be printed", f"gives a text that cannot be printed: {described(error)}")
    return Difference("breaks", "raises", f"raises {described(error)}")


def _unnoticed(seen: Visit) -> Difference:
    if seen.act in REFUSED and seen.text:
        return Difference("differs", "answered", "gets an answer to what should be refused")
    if answers := seen.fields.get("answers"):
        return Difference(
            "breaks", "loses answers", f"gets {len(answers)} of the answers that it asked for, in silence"
        )
    what = f"the text {seen.text[:30]!r}" if seen.text else "an empty answer"
    return Difference("breaks", "unnoticed", f"does not notice the failure, takes it for {what}")


def _reason(seen: Visit, healthy: Visit) -> Iterator[Difference]:
    """A reason that the healthy server's client shows and this one does not: because it lost it, or was given none."""
    assert seen.error
    assert healthy.error
    if healthy.reason in healthy.error.message and healthy.reason not in seen.error.message:
        if seen.reason == healthy.reason:
            yield Difference("breaks", "loses the reason", f"loses the reason: {described(seen.error)}")
        else:
            yield Difference("differs", "no reason", f"is given no reason: {described(seen.error)}")


def _other_error(seen: Raised, healthy: Raised) -> Iterator[Difference]:
    if seen.name != healthy.name:
        yield Difference("differs", "other error", f"raises {seen.name} instead of {healthy.name}")
    if seen.status != healthy.status:
        yield Difference("differs", "other status", f"status {seen.status} instead of {healthy.status}")
    if seen.code != healthy.code:
        yield Difference("differs", "other code", f"code {seen.code} instead of {healthy.code}")


def _other_answer(seen: Visit, healthy: Visit) -> Iterator[Difference]:
    if seen.text != healthy.text and "calls" not in healthy.fields:
        yield _other_text(seen.text, healthy.text)
    for name, word in OTHER.items():
        if seen.fields.get(name) != healthy.fields.get(name):
            yield Difference("breaks", word, _shown(name, seen.fields, healthy.fields))
    for name in ("finish", "usage"):
        if _known(seen.fields.get(name)) != _known(healthy.fields.get(name)):
            yield Difference("differs", f"other {name}", _shown(name, *(
                {name: _known(visit.fields.get(name))} for visit in (seen, healthy))))  # fmt: skip


def _other_text(seen: str, healthy: str) -> Difference:
    counts = f"{len(seen)} characters instead of {len(healthy)}"
    if len(seen) < len(healthy):
        return Difference("breaks", "loses text", f"loses text: {counts}")
    if _repeats(seen, healthy):
        return Difference("breaks", "doubles text", f"doubles text: {counts}")
    if _has_all(seen, healthy):
        return Difference("differs", "changes text", f"changes text: {counts}, nothing is lost")
    return Difference("breaks", "changes text", f"changes text: {counts}")


def _has_all(seen: str, healthy: str) -> bool:
    """Whether all characters of the healthy text came in their order, whatever came between them."""
    rest = iter(seen)
    return all(each in rest for each in healthy)


def _repeats(seen: str, healthy: str) -> bool:
    """Whether a longer text consists of parts of the healthy one: then some of it came more than once."""
    rest = seen if len(seen) > len(healthy) else ""
    while len(rest) >= PART_CHARS and rest[:PART_CHARS] in healthy:
        part = next(end for end in range(len(rest), 0, -1) if rest[:end] in healthy)
        rest = rest[part:]
    return len(seen) > len(healthy) and not rest


def _asked_again(seen: Visit, healthy: Visit) -> Iterator[Difference]:
    if seen.paid > max(healthy.paid, 1):
        yield Difference("breaks", "pays again", f"pays {seen.paid} times instead of {max(healthy.paid, 1)}")
    elif seen.asked > healthy.asked:
        yield Difference("breaks", "asks again", f"asks {seen.asked} times instead of {healthy.asked}")
    elif seen.asked < healthy.asked:
        yield Difference("differs", "gives up", f"asks {seen.asked} times instead of {healthy.asked}")


def _known(fact: Any) -> Any:  # noqa: ANN401 -- whatever a client tells
    """The counts of a usage, which some clients keep among others that vary."""
    if isinstance(fact, dict):
        return {name: fact.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return fact


def _shown(name: str, seen: dict[str, Any], healthy: dict[str, Any]) -> str:
    texts = [str(fields.get(name)) for fields in (seen, healthy)]
    told = [text if len(text) <= SHOWN_CHARS and text.isprintable() else f"{len(text)} characters" for text in texts]
    return f"{name}: {told[0]} instead of {told[1]}"


def by_server(visits: Sequence[Visit], baseline_of: dict[str, str]) -> dict[str, dict[str, list[Difference]]]:
    """Server → act → differences, where there are any; raises LookupError when a healthy visit is missing."""
    healthy = {(visit.server, visit.act): visit for visit in visits}
    found: dict[str, dict[str, list[Difference]]] = {}
    for visit in visits:
        told = list(differences(visit, healthy[baseline_of[visit.server], visit.act]))
        if told:
            found.setdefault(visit.server, {})[visit.act] = told
    return found
