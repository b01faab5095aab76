"""Runs the acts of a Python client: reads instructions from one JSON file, writes what happened to another.

A client script passes a function that connects the client; all clients then run the same acts. An act is one operation
of a client: a generator of pieces of text, and of dicts with other fields of the answer. An exception is recorded after
the pieces before it. With a list of servers in the instructions (`make breaks`) the client visits one server after
another, and each act is one JSON line of the output.
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

INSTRUCTIONS = json.loads(Path(sys.argv[1]).read_text("utf-8"))
SERVERS = INSTRUCTIONS.get("servers", [])
URL, EARLY_STREAM_URL, KEY, MODEL, TEXTS = (
    INSTRUCTIONS.get(name) for name in ("url", "early_stream_url", "key", "model", "texts")
)
OVERSIZE_BYTES = 4 * 1_048_576  # more than the buffers of a connection hold, so that a reset is noticed while sending
WRONG_PREFIX = "/nothing-here"  # of a base URL with a typing error
JSON_OBJECT = {"type": "json_object"}
LIMIT_TOKENS = 100  # more tokens than the answer to the text of a visit has

Output = Iterable["str | dict[str, object]"]
Act = Callable[[], Output]


@dataclass(frozen=True)
class ClientCalls:
    """The calls of a client with one base URL and key: a plain answer, a stream, and a stream with usage.

    ``more`` has calls that only some clients have, by name. Each call takes a text.
    """

    plain: Callable[[str], Output]
    stream: Callable[[str], Output]
    usage: Callable[[str], Output]
    more: dict[str, Callable[[str], Output]] = field(default_factory=dict)


def run_acts(
    connect: Callable[[str, str], ClientCalls], more: dict[str, Act] | None = None, also: tuple[str, ...] = ()
) -> None:
    """Run every act, with the acts of ``more`` and the calls named by ``also``, and write the record."""
    if SERVERS:
        visit_all(connect)
        return
    acts = {name: record_act(act) for name, act in {**standard_acts(connect, also), **(more or {})}.items()}
    versions = {name: importlib.metadata.version(name) for name in INSTRUCTIONS["packages"]}
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "acts": acts}), "utf-8")


def standard_acts(connect: Callable[[str, str], ClientCalls], also: tuple[str, ...]) -> dict[str, Act]:
    """The acts of all clients. A text that begins with @ tells the gateway how to reply."""
    proxy, early, stranger = connect(URL, KEY), connect(EARLY_STREAM_URL, KEY), connect(URL, "not-" + KEY)
    return {
        **{f"plain.{name}": partial(proxy.plain, text) for name, text in TEXTS.items()},
        **{f"stream.{name}": partial(proxy.stream, text) for name, text in TEXTS.items()},
        "usage": partial(proxy.usage, TEXTS["korean-nfc"]),
        "blank": partial(proxy.plain, " "),
        "blank-stream": partial(proxy.stream, " "),
        "wrong-key": partial(stranger.plain, "안녕"),
        "away": partial(proxy.plain, "@away"),
        "lost": partial(proxy.plain, "@lost"),
        "lost-stream": partial(proxy.stream, "@lost-stream"),
        "late": partial(early.stream, "@late"),
        **{name: partial(proxy.more[name], TEXTS["korean-nfc"]) for name in also},
    }


def visit_all(connect: Callable[[str, str], ClientCalls]) -> None:
    """Run the acts of each server, one server after another.

    A stream that an act has left open is closed when Python collects it. If httpcore holds the lock of the same
    client's connections at that time, the stream waits for the lock, and the client hangs. That depends on chance and
    says nothing about a server, so garbage is collected before each act.
    """
    gc.freeze()  # imported objects are excluded from each collection
    with Path(sys.argv[2]).open("w", encoding="utf-8") as output:
        for server in SERVERS:
            acts = acts_at(connect, server["url"])
            for name in [name for name in server["acts"] if name in acts]:
                gc.collect()  # see `visit_all`
                record = bounded(acts[name])
                output.write(json.dumps({"server": server["name"], "act": name, **record}) + "\n")
                output.flush()


def acts_at(connect: Callable[[str, str], ClientCalls], url: str) -> dict[str, Act]:
    """The acts of a client at one server, by name."""
    text = INSTRUCTIONS["text"]
    calls = connect(url, KEY)
    more = {name: partial(act, text) for name, act in calls.more.items()}
    return {
        "plain": partial(calls.plain, text),
        "stream": partial(calls.stream, text),
        "usage": partial(calls.usage, text),
        "refused": partial(calls.plain, " "),
        "refused-stream": partial(calls.stream, " "),
        "oversize": lambda: calls.plain("x" * OVERSIZE_BYTES),
        "away": partial(calls.plain, "@away"),
        "lost": partial(calls.plain, "@lost"),
        "late": partial(calls.stream, "@late"),
        "wrong-key": lambda: connect(url, "not-" + KEY).plain(text),
        "wrong-url": lambda: connect(url + WRONG_PREFIX, KEY).plain(text),
        **more,
    }


def bounded(act: Act) -> dict[str, object]:
    """The record of an act, which may take ``bound_s`` seconds, with its start and end on the monotonic clock."""
    found: list[dict[str, object]] = []
    began_s = time.monotonic()
    thread = threading.Thread(target=lambda: found.append(record_act(act)), daemon=True)
    thread.start()
    thread.join(INSTRUCTIONS["bound_s"])
    if not found and not thread.is_alive():
        raise RuntimeError("the recorder failed, so nothing is known about the client; see the error above")
    record = found[0] if found else {"pieces": [], "fields": {}, "error": None, "hangs": True}
    return {**record, "began_s": began_s, "ended_s": time.monotonic()}


def record_act(act: Act) -> dict[str, object]:
    """Run an act: record the printed pieces, the fields, and the exception of the client or of printing."""
    pieces: list[str] = []
    fields: dict[str, object] = {}
    error = None
    try:
        for output in act():
            if isinstance(output, dict):
                fields |= output
            elif output is not None:  # None: an answer without text
                pieces.append(print_text(output))
    except UnprintableError as unprintable:
        error = {**describe_error(unprintable.reason), "by": "program"}
    except Exception as raised:  # noqa: BLE001 -- the exception is the result
        error = {**describe_error(raised), "by": "client"}
    return {"pieces": pieces, "fields": fields, "error": error}


class UnprintableError(Exception):
    """A program cannot print the text of a client."""

    def __init__(self, reason: UnicodeError) -> None:
        """Keep the error of ``print``."""
        self.reason = reason


def print_text(piece: object) -> str:
    """The output of ``print`` for a piece; raises UnprintableError when it cannot be encoded as UTF-8."""
    with io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") as output:
        try:
            print(piece, end="", file=output, flush=True)
        except UnicodeError as reason:
            raise UnprintableError(reason) from reason
        return output.buffer.getvalue().decode()


def drain(source: AsyncIterator[str | dict[str, object]]) -> Output:
    """Run an asynchronous act in its own event loop; yield its output, then raise its exception."""
    output: list[str | dict[str, object]] = []
    raised: list[Exception] = []

    async def collect() -> None:
        try:
            async for each in source:
                output.append(each)  # noqa: PERF401 -- a comprehension would lose them at an exception
        except Exception as error:  # noqa: BLE001 -- raised again below
            raised.append(error)

    asyncio.run(collect())
    yield from output
    for error in raised:
        raise error


def describe_error(error: BaseException) -> dict[str, object]:
    """The class, the status, the code and the message of an exception."""
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
    """The messages of a request with one message of a user."""
    return [{"role": "user", "content": text}]
