"""How every client of Python is asked, and how it tells what it saw: one JSON file in, one file out.

A client says how it connects; from then on all are asked the same. An act yields pieces of text, and facts as dicts;
whatever it raises is told, too, after the pieces that came before. A score that lists servers (`make breaks`) is a
visit to one server after another: each act is one JSON line of the output.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import io
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

SCORE = json.loads(Path(sys.argv[1]).read_text("utf-8"))
SERVERS = SCORE.get("servers", [])
URL, HASTY_URL, KEY, MODEL, TEXTS = (SCORE.get(name) for name in ("url", "hasty_url", "key", "model", "texts"))
OVERSIZE_BYTES = 4 * 1_048_576  # more than the buffers of a connection hold, so that a reset is seen while it is sent
WRONG_PREFIX = "/nothing-here"  # of a base URL that a user has mistyped
LIMIT_TOKENS = 100  # a program's own limit; more than the answer to the text of a visit has

Seen = Iterable["str | dict[str, object]"]
Act = Callable[[], Seen]


@dataclass(frozen=True)
class Talk:
    """One client with one base URL and key: how it asks plainly, with a stream, and with a stream and usage.

    ``more`` has what only some clients can do, by name: each takes a text, too.
    """

    plain: Callable[[str], Seen]
    stream: Callable[[str], Seen]
    usage: Callable[[str], Seen]
    more: dict[str, Callable[[str], Seen]] = field(default_factory=dict)


def perform(
    connect: Callable[[str, str], Talk], more: dict[str, Act] | None = None, also: tuple[str, ...] = ()
) -> None:
    """Do every act, ``also`` those of the talk, and write down what was seen."""
    if SERVERS:
        visit_all(connect)
        return
    acts = {name: told(act) for name, act in {**standard(connect, also), **(more or {})}.items()}
    versions = {name: importlib.metadata.version(name) for name in SCORE["packages"]}
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "acts": acts}), "utf-8")


def standard(connect: Callable[[str, str], Talk], also: tuple[str, ...]) -> dict[str, Act]:
    """What all clients are asked. Words after @ are directions for the gateway."""
    ours, hasty, stranger = connect(URL, KEY), connect(HASTY_URL, KEY), connect(URL, "not-" + KEY)
    return {
        **{f"plain.{name}": partial(ours.plain, text) for name, text in TEXTS.items()},
        **{f"stream.{name}": partial(ours.stream, text) for name, text in TEXTS.items()},
        "usage": partial(ours.usage, TEXTS["korean-nfc"]),
        "blank": partial(ours.plain, " "),
        "blank-stream": partial(ours.stream, " "),
        "wrong-key": partial(stranger.plain, "안녕"),
        "away": partial(ours.plain, "@away"),
        "lost": partial(ours.plain, "@lost"),
        "lost-stream": partial(ours.stream, "@lost-stream"),
        "late": partial(hasty.stream, "@late"),
        **{name: partial(ours.more[name], TEXTS["korean-nfc"]) for name in also},
    }


def visit_all(connect: Callable[[str, str], Talk]) -> None:
    """Do the acts that each server is to be asked, one server after another.

    A stream that an act has left open is closed when Python collects it. When that happens while httpcore holds the
    lock of the same client's connections, the stream waits for that lock, and the client hangs. This is a matter of
    chance, and no evidence about a server: what an act leaves is collected before the next act begins.
    """
    gc.freeze()  # what was imported stays, and is not looked through before each act
    with Path(sys.argv[2]).open("w", encoding="utf-8") as output:
        for server in SERVERS:
            acts = acts_at(connect, server["url"])
            for name in [name for name in server["acts"] if name in acts]:
                gc.collect()  # see `visit_all`
                seen = bounded(acts[name])
                output.write(json.dumps({"server": server["name"], "act": name, **seen}) + "\n")
                output.flush()


def acts_at(connect: Callable[[str, str], Talk], url: str) -> dict[str, Act]:
    """What a client can do at one server, by name."""
    text = SCORE["text"]
    talk = connect(url, KEY)
    more = {name: partial(act, text) for name, act in talk.more.items()}
    return {
        "plain": partial(talk.plain, text),
        "stream": partial(talk.stream, text),
        "usage": partial(talk.usage, text),
        "refused": partial(talk.plain, " "),
        "refused-stream": partial(talk.stream, " "),
        "oversize": lambda: talk.plain("x" * OVERSIZE_BYTES),
        "away": partial(talk.plain, "@away"),
        "lost": partial(talk.plain, "@lost"),
        "late": partial(talk.stream, "@late"),
        "wrong-key": lambda: connect(url, "not-" + KEY).plain(text),
        "wrong-url": lambda: connect(url + WRONG_PREFIX, KEY).plain(text),
        **more,
    }


def bounded(act: Act) -> dict[str, object]:
    """What an act tells within the bound, with its begin and end on the monotonic clock in seconds."""
    found: list[dict[str, object]] = []
    began_s = time.monotonic()
    thread = threading.Thread(target=lambda: found.append(told(act)), daemon=True)
    thread.start()
    thread.join(SCORE["bound_s"])
    if not found and not thread.is_alive():
        raise RuntimeError("the recorder failed, and nothing is known of the client: see the error above")
    seen = found[0] if found else {"pieces": [], "facts": {}, "error": None, "hangs": True}
    return {**seen, "began_s": began_s, "ended_s": time.monotonic()}


def told(act: Act) -> dict[str, object]:
    """What a program has printed of what an act yields, and what the client raised, or the program as it printed."""
    pieces: list[str] = []
    facts: dict[str, object] = {}
    error = None
    try:
        for seen in act():
            if isinstance(seen, dict):
                facts |= seen
            elif seen is not None:  # an answer without text
                pieces.append(printed(seen))
    except UnprintableError as unprintable:
        error = {**described(unprintable.reason), "by": "program"}
    except Exception as raised:  # noqa: BLE001 -- what a client raises is what is to be seen
        error = {**described(raised), "by": "client"}
    return {"pieces": pieces, "facts": facts, "error": error}


class UnprintableError(Exception):
    """A program cannot print what a client gave it."""

    def __init__(self, reason: UnicodeError) -> None:
        """Keep what ``print`` raised."""
        self.reason = reason


def printed(piece: object) -> str:
    """What ``print`` shows of a piece; raises UnprintableError when it cannot be written in UTF-8."""
    with io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") as output:
        try:
            print(piece, end="", file=output, flush=True)
        except UnicodeError as reason:
            raise UnprintableError(reason) from reason
        return output.buffer.getvalue().decode()


def drained(source: AsyncIterator[str | dict[str, object]]) -> Seen:
    """What an asynchronous act yields, in an event loop of its own; what came before an exception is not lost."""
    seen: list[str | dict[str, object]] = []
    raised: list[Exception] = []

    async def drain() -> None:
        try:
            async for each in source:
                seen.append(each)  # noqa: PERF401 -- a comprehension would lose them at an exception
        except Exception as error:  # noqa: BLE001 -- raised again below
            raised.append(error)

    asyncio.run(drain())
    yield from seen
    for error in raised:
        raise error


def described(error: BaseException) -> dict[str, object]:
    """An exception as its catcher sees it."""
    body = getattr(error, "body", None)
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None) or (body.get("code") if isinstance(body, dict) else None)
    return {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "ancestors": [f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__[1:]],
        "status": status if isinstance(status, int) else None,
        "code": None if code is None else str(code),
        "message": str(error),
    }


def question(text: str) -> list[dict[str, str]]:
    """One message of one user."""
    return [{"role": "user", "content": text}]
