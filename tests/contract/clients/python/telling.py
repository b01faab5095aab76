"""How every client of Python is asked, and how it tells what it saw: one JSON file in, one JSON file out.

A client says how it connects; from then on all are asked the same. An act yields pieces of text, and facts as dicts;
whatever it raises is told, too, after the pieces that came before.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SCORE = json.loads(Path(sys.argv[1]).read_text("utf-8"))
URL, HASTY_URL, KEY, MODEL, TEXTS = (SCORE[name] for name in ("url", "hasty_url", "key", "model", "texts"))

Seen = Iterable["str | dict[str, object]"]
Act = Callable[[], Seen]


@dataclass(frozen=True)
class Talk:
    """One client with one base URL and key: how it asks plainly, with a stream, and with a stream and usage."""

    plain: Callable[[str], Seen]
    stream: Callable[[str], Seen]
    usage: Callable[[str], Seen]


def perform(connect: Callable[[str, str], Talk], more: dict[str, Act] | None = None) -> None:
    """Do every act, and write down what was seen."""
    acts = {name: told(act) for name, act in {**standard(connect), **(more or {})}.items()}
    versions = {name: importlib.metadata.version(name) for name in SCORE["packages"]}
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "acts": acts}), "utf-8")


def standard(connect: Callable[[str, str], Talk]) -> dict[str, Act]:
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
    }


def told(act: Act) -> dict[str, object]:
    """What an act has yielded, and what it raised."""
    pieces: list[str] = []
    facts: dict[str, object] = {}
    error = None
    try:
        for seen in act():
            if isinstance(seen, dict):
                facts |= seen
            else:
                pieces.append(seen)
    except Exception as raised:  # noqa: BLE001 -- what a client raises is what is to be seen
        error = described(raised)
    return {"pieces": pieces, "facts": facts, "error": error}


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
    code = getattr(error, "code", None) or (body.get("code") if isinstance(body, dict) else None)
    return {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "ancestors": [f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__[1:]],
        "status": getattr(error, "status_code", None),
        "code": None if code is None else str(code),
        "message": str(error),
    }


def question(text: str) -> list[dict[str, str]]:
    """One message of one user."""
    return [{"role": "user", "content": text}]
