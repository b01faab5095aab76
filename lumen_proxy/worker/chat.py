"""A chat request from its bytes to its answer, whole or streamed."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from lumen_proxy.errors import ApiError
from lumen_proxy.wire import chat_request as wire_request
from lumen_proxy.wire import sse
from lumen_proxy.wire.folding import fold
from lumen_proxy.wire.lumen import gateway_request
from lumen_proxy.wire.openai import Completion, until_stop, usage
from lumen_proxy.worker.call import Call, Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lumen_proxy.config import Settings
    from lumen_proxy.wire.chat_request import ChatRequest
    from lumen_proxy.wire.folding import Folded
    from lumen_proxy.wire.lumen import Answer
    from lumen_proxy.worker.call import Watch
    from lumen_proxy.worker.upstream.gateway import Gateway

MS = 1000
BATCH_EVENTS = 64  # made and written at once: a millisecond of work, 15 KB


@dataclass(eq=False)
class Record:
    """What the log and the metrics learn of a request: metadata, no words."""

    request_id: str
    began: float = field(default_factory=monotonic)
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)

    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return monotonic() - self.began


class Chat:
    """Answers chat requests through the gateway. Whoever sends the answer gives back the record's place."""

    def __init__(
        self, settings: Settings, gateway: Gateway, watch: Watch, on_bug: Callable[[Exception, Record], ApiError]
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._watch = watch
        self._on_bug = on_bug
        self.places = Places(settings.max_concurrency + settings.max_queue)
        self._batching = threading.Lock()

    def answer(self, data: bytes, record: Record, gone: Callable[[], bool]) -> str | Iterator[bytes]:
        """The JSON of a completion, or the events of a stream. Raises ApiError before the first byte."""
        self.places.enter(record)
        request = wire_request.parse(
            data, strict_model=self._settings.model_strict, ignore_unsupported=self._settings.unsupported == "ignore"
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
            yield from self._batches(pending.result().chunks(include_usage=job.request.include_usage))
            last = sse.DONE
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not take it for an end
            api_error = error if isinstance(error, ApiError) else self._on_bug(error, job.record)
            job.record.facts["code"] = api_error.code
            last = sse.event(api_error.body())
        finally:
            job.call.end("client_gone")  # without effect on a call that is over
        self.places.leave(job.record)  # before the last word: whoever has it may ask again at once
        yield last

    def _batches(self, chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
        """Many events at a time, made by one thread at a time: many at work would keep /health from the interpreter."""
        while True:
            with self._batching:
                batch = b"".join(map(sse.event, islice(chunks, BATCH_EVENTS)))
            if not batch:
                return
            yield batch

    def _complete(self, job: _Job) -> Completion:
        """Ask the gateway and build the completion; whatever comes of it, tell how long it took."""
        try:
            return self._completion(job)
        finally:
            if job.call.attempts:
                job.record.facts |= {
                    "channel": job.call.channel,
                    "attempts": job.call.attempts,
                    "gateway_s": round(job.call.exchange_s, 6),
                    "overhead_s": round(job.overhead_s(), 6),
                }

    def _completion(self, job: _Job) -> Completion:
        request, prompt = job.request, job.folded.text
        with self._watch.over(job.call):
            answer = self._gateway.ask(job.call, gateway_request(prompt, request.persona, request.user))
        text = until_stop(answer.text, request.stops)
        tokens = usage(prompt, text)
        job.record.facts |= tokens
        if answer.warnings:
            job.record.facts["gateway_warnings"] = "; ".join(answer.warnings)
        return Completion(int(time.time()), request.model, text, tokens, _metadata(job, answer))


@dataclass(frozen=True)
class _Job:
    """A valid request on its way."""

    request: ChatRequest
    folded: Folded
    record: Record
    call: Call

    def overhead_s(self) -> float:
        """All the time that was not the last attempt's."""
        return self.record.elapsed_s() - self.call.exchange_s

    def ignored(self) -> list[str]:
        """Parameters without effect: Cloud AI knows neither users nor personas."""
        request = self.request
        dropped = {"user": request.user, "model": request.persona} if self.call.channel == "cloud_ai" else {}
        return sorted({*request.ignored, *(name for name, value in dropped.items() if value)})


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


def _metadata(job: _Job, answer: Answer) -> dict[str, object]:
    return {
        "persona": answer.persona,
        "sources": answer.sources,
        "timestamp": answer.timestamp,
        "channel": job.call.channel,
        "requested_model": job.request.requested_model,
        "attempts": job.call.attempts,
        "response_time_ms": round(job.call.exchange_s * MS, 1),
        "overhead_ms": round(job.overhead_s() * MS, 1),
        "ignored_parameters": job.ignored(),
        "history_dropped": job.folded.dropped,
        "replaced_parts": job.request.replaced_parts,
        "gateway_warnings": list(answer.warnings),
        "usage_source": "estimated",
    }
