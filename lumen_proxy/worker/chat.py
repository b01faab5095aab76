"""A chat request, from its body to its answer, whole or streamed."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from lumen_proxy import threads
from lumen_proxy.errors import ApiError
from lumen_proxy.wire import chat_request, openai
from lumen_proxy.wire.folding import fold
from lumen_proxy.wire.lumen import gateway_request
from lumen_proxy.worker.call import ClientCall
from lumen_proxy.worker.limits import AdmissionLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from lumen_proxy.config import Settings
    from lumen_proxy.wire.chat_request import ChatRequest
    from lumen_proxy.wire.folding import Folded
    from lumen_proxy.wire.lumen import GatewayAnswer
    from lumen_proxy.worker.call import CallRegistry
    from lumen_proxy.worker.upstream.gateway import GatewayClient

MS = 1000
BATCH_EVENTS = 64  # built and written together: a millisecond of work, 15 KB


@dataclass
class RequestRecord:
    """What the log and the metrics get of a request: metadata, never its text."""

    request_id: str
    began: float = field(default_factory=monotonic)
    fields: dict[str, str | int | float | bool | None] = field(default_factory=dict)

    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return monotonic() - self.began


class Stream(NamedTuple):
    """The events of a streamed answer. `release` ends its admission: call it when the connection is done with them."""

    events: Iterator[bytes]
    release: Callable[[], None]


class Chat:
    """Answers chat requests through the gateway."""

    def __init__(
        self,
        settings: Settings,
        gateway: GatewayClient,
        calls: CallRegistry,
        on_bug: Callable[[Exception, RequestRecord], ApiError],
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._calls = calls
        self._on_bug = on_bug
        self._limit = AdmissionLimit(settings.max_concurrency + settings.max_queue)
        self._batching = threading.Lock()

    def answer(self, body: bytes, record: RequestRecord, is_disconnected: Callable[[], bool]) -> str | Stream:
        """Return the JSON of a completion, or a stream. Raises ApiError before the first event."""
        with ExitStack() as admission:
            admission.enter_context(self._limit.admit())
            job = self._job(body, record, is_disconnected)
            if not job.request.stream:
                return json.dumps(self._complete(job).whole(), ensure_ascii=False)
            completion = self._start(job)
            release = admission.pop_all().close  # from here on the stream ends the admission
            return Stream(self._events(job, completion, release), release)

    def _job(self, body: bytes, record: RequestRecord, is_disconnected: Callable[[], bool]) -> _Job:
        settings = self._settings
        request = chat_request.parse(
            body, strict_model=settings.model_strict, ignore_unsupported=settings.unsupported == "ignore"
        )
        folded = fold(request.messages, max_chars=settings.max_message_chars, history=settings.history)
        record.fields |= {"model": request.model, "stream": request.stream, "history_dropped": folded.dropped}
        return _Job(request, folded, record, ClientCall(settings.timeout_s, is_disconnected))

    def _start(self, job: _Job) -> Future[openai.Completion]:
        """Start the completion, and wait for a while: a failure before the headers are sent keeps its status."""
        completion = threads.start(partial(self._complete, job), "stream")
        if threads.is_done(completion, self._settings.stream_commit_s):
            completion.result()
        return completion

    def _events(self, job: _Job, completion: Future[openai.Completion], release: Callable[[], None]) -> Iterator[bytes]:
        """Keep-alive comments, then the chunks; an error is the last event."""
        try:
            wait_s = 0.0
            while not threads.is_done(completion, wait_s):
                yield openai.KEEP_ALIVE
                wait_s = self._settings.sse_keepalive_s
            yield from self._batches(completion.result().chunks(include_usage=job.request.include_usage))
            last = openai.DONE
        except Exception as error:  # noqa: BLE001 - after any error the stream must not end as a complete one does
            api_error = error if isinstance(error, ApiError) else self._on_bug(error, job.record)
            job.record.fields["code"] = api_error.code
            last = openai.event(api_error.body())
        finally:
            job.call.end("client_gone")  # no effect on a call that is complete
        release()  # before the last event: the client may send its next request as soon as it has it
        yield last

    def _batches(self, chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
        """Build many events at a time, in one thread at a time: several threads would delay /health."""
        while True:
            with self._batching:
                batch = b"".join(map(openai.event, islice(chunks, BATCH_EVENTS)))
            if not batch:
                return
            yield batch

    def _complete(self, job: _Job) -> openai.Completion:
        """Call the gateway, build the completion, and record the times, also of a failure."""
        try:
            return self._completion(job)
        finally:
            if job.call.attempts:
                job.record.fields |= {
                    "channel": job.call.channel,
                    "attempts": job.call.attempts,
                    "gateway_s": round(job.call.exchange_s, 6),
                    "overhead_s": round(job.overhead_s(), 6),
                }

    def _completion(self, job: _Job) -> openai.Completion:
        request, prompt = job.request, job.folded.text
        with self._calls.registered(job.call):
            answer = self._gateway.answer(job.call, gateway_request(prompt, request.persona, request.user))
        text = openai.until_stop(answer.text, request.stops)
        tokens = openai.usage(prompt, text)
        job.record.fields |= tokens
        if answer.warnings:
            job.record.fields["gateway_warnings"] = "; ".join(answer.warnings)
        return openai.Completion(int(time.time()), request.model, text, tokens, _metadata(job, answer))


@dataclass(frozen=True)
class _Job:
    """A valid request in progress."""

    request: ChatRequest
    folded: Folded
    record: RequestRecord
    call: ClientCall

    def overhead_s(self) -> float:
        """The time since the request began, without the last attempt."""
        return self.record.elapsed_s() - self.call.exchange_s

    def ignored(self) -> list[str]:
        """The parameters without effect. Cloud AI supports neither users nor personas."""
        request = self.request
        dropped = {"user": request.user, "model": request.persona} if self.call.channel == "cloud_ai" else {}
        return sorted({*request.ignored, *(name for name, value in dropped.items() if value)})


def _metadata(job: _Job, answer: GatewayAnswer) -> dict[str, object]:
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
