"""One HTTP question of a diagnosis, and several at once under one deadline.

Nothing raised by the network leaves this module: what went wrong is a word in the `Call`. The address is reached as
the worker reaches it (`lumen_proxy.net`).
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from lumen_proxy.errors import Fatal
from lumen_proxy.masking import without_query
from lumen_proxy.net.failure import ConnectFailed, Kind
from lumen_proxy.net.fetch import ANSWER_BYTES, FetchLimits, FetchRequest, Lost, fetch
from lumen_proxy.net.proxies import UnsupportedProxy
from lumen_proxy.net.time_limits import CONNECT_S
from lumen_proxy.wire.text import json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MS = 1_000
Trouble = Literal["timeout", "proxy_unsupported", "settings"] | Kind
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One question really asked. `status` is None if no answer came, and then `trouble` says why.

    `url` is for people: without its query, which may be a secret. `detail` is what failed, `remedy` what to do.
    """

    method: str
    url: str
    status: int | None = None
    ms: float | None = None
    trouble: Trouble | None = None
    body: bytes = field(default=b"", repr=False)
    detail: str = ""
    remedy: str = ""

    def json(self) -> dict[str, Any]:
        """The answer's object; empty if it is none."""
        return json_object(self.body)

    def facts(self) -> dict[str, object]:
        """What is shown of it; never the body."""
        ms = None if self.ms is None else round(self.ms, 1)
        return {"method": self.method, "url": self.url, "status": self.status, "ms": ms, "trouble": self.trouble}


def ask(  # noqa: PLR0913 - what one question is made of
    method: str,
    url: str,
    *,
    within_s: float,
    connect_s: float = CONNECT_S,
    max_bytes: int = ANSWER_BYTES,
    body: object = None,
    headers: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Call:
    """Ask once: no redirects, no repetition. A header of None is left out."""
    began = time.monotonic()

    def call(**found: Any) -> Call:  # noqa: ANN401 - the fields of Call
        return Call(method, without_query(url), ms=(time.monotonic() - began) * MS, **found)

    sent = {name: value for name, value in (headers or {}).items() if value is not None}
    content = b""
    if body is not None:
        sent["Content-Type"] = "application/json; charset=utf-8"
        content = json.dumps(body, ensure_ascii=False).encode()
    try:
        answer = fetch(FetchRequest(method, url, sent, content), FetchLimits(within_s, connect_s, max_bytes), environ)
    except ConnectFailed as failure:
        return call(trouble=failure.kind, detail=failure.text, remedy=failure.remedy)
    except Lost as failure:
        return call(trouble="timeout" if failure.late else "lost")
    except Fatal as failure:
        detail, remedy = _parts(str(failure))
        unsupported = isinstance(failure, UnsupportedProxy)
        return call(trouble="proxy_unsupported" if unsupported else "settings", detail=detail, remedy=remedy)
    return call(status=answer.status, body=answer.body)


def _parts(refusal: str) -> tuple[str, str]:
    """What is wrong with a setting, and what to do: behind a semicolon, or in a sentence of its own."""
    detail, _, remedy = refusal.partition("; ")
    if remedy:
        return detail, remedy
    detail, _, remedy = refusal.rpartition(". ")
    return (detail, remedy[:1].lower() + remedy[1:]) if detail else (refusal, "")


def at_once(jobs: Mapping[str, Callable[[], T]], *, within_s: float) -> dict[str, T]:
    """Run all jobs in threads; return what was done by the deadline. The others are left behind, not waited for."""
    done: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()

    def run(name: str, job: Callable[[], T]) -> None:
        try:
            done.put((name, job()))
        except Exception as error:  # noqa: BLE001 - raised again where the answer is read
            done.put((name, error))

    until = time.monotonic() + within_s
    for name, job in jobs.items():
        threading.Thread(target=run, args=(name, job), daemon=True).start()
    found: dict[str, T] = {}
    while len(found) < len(jobs):
        try:
            name, result = done.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            break
        if isinstance(result, BaseException):
            raise result
        found[name] = result
    return found
