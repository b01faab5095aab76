"""A chat request from its bytes to its answer, whole or streamed."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from lumen_proxy.errors import ApiError
from lumen_proxy.wire import request as wire_request
from lumen_proxy.wire import sse
from lumen_proxy.wire.folding import fold
from lumen_proxy.wire.lumen import gateway_request
from lumen_proxy.wire.openai import Completion, until_stop, usage
from lumen_proxy.worker.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lumen_proxy.config import Settings
    from lumen_proxy.wire.folding import Folded
    from lumen_proxy.wire.request import ChatRequest
    from lumen_proxy.worker.calls import Watch
    from lumen_proxy.worker.gateway import Gateway, Result

MS = 1000


@dataclass
class Record:
    """What the log and the metrics learn of a request: metadata, no words."""

    request_id: str
    began: float = field(default_factory=monotonic)
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)

    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return monotonic() - self.began


class Chat:
    """Answers chat requests through the gateway."""

    def __init__(
        self, settings: Settings, gateway: Gateway, watch: Watch, on_bug: Callable[[Exception, Record], ApiError]
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._watch = watch
        self._on_bug = on_bug

    def answer(self, data: bytes, record: Record, gone: Callable[[], bool]) -> str | Iterator[bytes]:
        """The JSON of a completion, or the events of a stream. Raises ApiError before the first byte."""
        request = wire_request.parse(
            data, strict_model=self._settings.model_strict, allow_tools=self._settings.unsupported == "ignore"
        )
        folded = fold(request.messages, max_chars=self._settings.max_message_chars, history=self._settings.history)
        record.facts |= {"model": request.model, "stream": request.stream, "history_dropped": folded.dropped}
        job = _Job(request, folded, record, Call(self._settings.timeout_s, gone))
        if request.stream:
            return self._stream(job)
        return json.dumps(self._complete(job).whole(), ensure_ascii=False)

    def _stream(self, job: _Job) -> Iterator[bytes]:
        """Wait a while before the headers go out, so that a failure keeps its status."""
        pending = _Pending(lambda: self._complete(job))
        if pending.done.wait(self._settings.stream_commit_s):
            pending.result()
        return self._events(job, pending)

    def _events(self, job: _Job, pending: _Pending) -> Iterator[bytes]:
        """The headers are out: keep the connection alive, then the chunks, or the error as the last event."""
        try:
            wait_s = 0.0
            while not pending.done.wait(wait_s):
                yield sse.KEEP_ALIVE
                wait_s = self._settings.sse_keepalive_s
            for chunk in pending.result().chunks(include_usage=job.request.include_usage):
                yield sse.event(chunk)
            yield sse.DONE
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not take it for an end
            api_error = error if isinstance(error, ApiError) else self._on_bug(error, job.record)
            job.record.facts["code"] = api_error.code
            yield sse.event(api_error.body())
        finally:
            job.call.end("client_gone")  # without effect on a call that is over

    def _complete(self, job: _Job) -> Completion:
        """Ask the gateway and build the completion."""
        request, prompt = job.request, job.folded.text
        with self._watch.over(job.call):
            result = self._gateway.ask(job.call, gateway_request(prompt, request.persona, request.user))
        text = until_stop(result.answer.text, request.stops)
        tokens = usage(prompt, text)
        overhead_s = job.record.elapsed_s() - result.seconds
        job.record.facts |= {
            **tokens,
            "channel": result.channel,
            "attempts": result.attempts,
            "gateway_s": round(result.seconds, 6),
            "overhead_s": round(overhead_s, 6),
        }
        return Completion(int(time.time()), request.model, text, tokens, _metadata(job, result, overhead_s))


@dataclass(frozen=True)
class _Job:
    """A valid request on its way."""

    request: ChatRequest
    folded: Folded
    record: Record
    call: Call


class _Pending:
    """A completion that is made in a thread of its own, so that its stream can be kept alive."""

    def __init__(self, make: Callable[[], Completion]) -> None:
        self.done = threading.Event()
        self._make = make
        self._completion: Completion | None = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, name="stream", daemon=True).start()

    def _run(self) -> None:
        try:
            self._completion = self._make()
        except Exception as error:  # noqa: BLE001 - raised again by result()
            self._error = error
        finally:
            self.done.set()

    def result(self) -> Completion:
        if self._completion is None:
            raise self._error or AssertionError("asked too early")
        return self._completion


def _metadata(job: _Job, result: Result, overhead_s: float) -> dict[str, object]:
    return {
        "persona": result.answer.persona,
        "sources": result.answer.sources,
        "timestamp": result.answer.timestamp,
        "channel": result.channel,
        "requested_model": job.request.requested_model,
        "attempts": result.attempts,
        "response_time_ms": round(result.seconds * MS, 1),
        "overhead_ms": round(overhead_s * MS, 1),
        "ignored_parameters": list(job.request.ignored),
        "history_dropped": job.folded.dropped,
        "usage_source": "estimated",
    }
