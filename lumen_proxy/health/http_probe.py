"""One HTTP request of a diagnosis, and several at once with one deadline.

A network error is not raised: it is the `trouble` of the result. Addresses are reached in the same way as by the worker
(`lumen_proxy.net`).
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
class ProbeResult:
    """One request and its response. `status` is None if there was no response; then `trouble` is the reason.

    `url` has no query, which may be a secret. `detail` is what failed, `remedy` what to do.
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
        """The JSON object of the response; empty if it is not one."""
        return json_object(self.body)

    def as_json(self) -> dict[str, object]:
        """All fields that may be shown; the body is not one of them."""
        ms = None if self.ms is None else round(self.ms, 1)
        return {"method": self.method, "url": self.url, "status": self.status, "ms": ms, "trouble": self.trouble}


def send_probe(  # noqa: PLR0913 - the parts of a request and its limits
    method: str,
    url: str,
    *,
    within_s: float,
    connect_s: float = CONNECT_S,
    max_bytes: int = ANSWER_BYTES,
    body: object = None,
    headers: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ProbeResult:
    """Send one request: no redirects, no retries. A header of None is left out."""
    began = time.monotonic()

    def result(**fields: Any) -> ProbeResult:  # noqa: ANN401 - the fields of ProbeResult
        return ProbeResult(method, without_query(url), ms=(time.monotonic() - began) * MS, **fields)

    sent_headers = {name: value for name, value in (headers or {}).items() if value is not None}
    content = b""
    if body is not None:
        sent_headers["Content-Type"] = "application/json; charset=utf-8"
        content = json.dumps(body, ensure_ascii=False).encode()
    try:
        limits = FetchLimits(within_s, connect_s, max_bytes)
        answer = fetch(FetchRequest(method, url, sent_headers, content), limits, environ)
    except ConnectFailed as failure:
        return result(trouble=failure.kind, detail=failure.text, remedy=failure.remedy)
    except Lost as failure:
        return result(trouble="timeout" if failure.late else "lost")
    except Fatal as failure:
        detail, remedy = _split_error(str(failure))
        is_unsupported = isinstance(failure, UnsupportedProxy)
        return result(trouble="proxy_unsupported" if is_unsupported else "settings", detail=detail, remedy=remedy)
    return result(status=answer.status, body=answer.body)


def _split_error(text: str) -> tuple[str, str]:
    """What is wrong with a setting, and what to do. The second follows a semicolon or is a sentence of its own."""
    detail, _, remedy = text.partition("; ")
    if remedy:
        return detail, remedy
    detail, _, remedy = text.rpartition(". ")
    return (detail, remedy[:1].lower() + remedy[1:]) if detail else (text, "")


def run_all(jobs: Mapping[str, Callable[[], T]], *, within_s: float) -> dict[str, T]:
    """Run all jobs in threads; return the results by the deadline. Later results are dropped."""
    done: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()

    def run(name: str, job: Callable[[], T]) -> None:
        try:
            done.put((name, job()))
        except Exception as error:  # noqa: BLE001 - raised again below
            done.put((name, error))

    until = time.monotonic() + within_s
    for name, job in jobs.items():
        threading.Thread(target=run, args=(name, job), daemon=True).start()
    results: dict[str, T] = {}
    while len(results) < len(jobs):
        try:
            name, result = done.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            break
        if isinstance(result, BaseException):
            raise result
        results[name] = result
    return results
