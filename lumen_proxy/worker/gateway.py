"""Ask the gateway, or Cloud AI in its place: the only outbound calls of the proxy.

One deadline covers queue, retries and fallback. What is tried again is only what surely was not sent.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Literal

from lumen_proxy.errors import ApiError
from lumen_proxy.wire import lumen
from lumen_proxy.wire.problems import gateway_status
from lumen_proxy.worker.breaker import Breaker, Outcome
from lumen_proxy.worker.calls import Slots
from lumen_proxy.worker.connect import NotSent
from lumen_proxy.worker.pool import HTTP_OK, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.worker.calls import Call
    from lumen_proxy.worker.pool import Reply

RETRIES = 2
BACKOFF_S, BACKOFF_CAP_S = 0.25, 2.0  # doubles, with full jitter

# Failures of a gateway that nobody should go on calling. A limit, a refusal or a gone client are not.
FAILURES = {
    "gateway_unreachable",
    "gateway_timeout",
    "gateway_connection_lost",
    "gateway_error",
    "gateway_unavailable",
    "gateway_invalid_response",
}
SUCCESSES = {"gateway_declined", "gateway_empty_response"}  # it is there, and it answered


@dataclass(frozen=True)
class Result:
    """An answer and how it came about. `seconds` is the time of the exchange that brought it."""

    answer: lumen.Answer
    channel: Literal["gateway", "cloud_ai"]
    attempts: int
    seconds: float


class Gateway:
    """The Lumen Gateway behind a limit, a breaker, retries and the fallback."""

    def __init__(self, settings: Settings, on_event: Callable[[str], None] = lambda _: None) -> None:
        def pool(url: str, headers: Mapping[str, str] | None = None) -> Pool:
            limits = (settings.connect_timeout_s, settings.max_response_bytes)
            return Pool(url, connect_timeout_s=limits[0], max_response_bytes=limits[1], headers=headers)

        self.slots = Slots(settings.max_concurrency, settings.max_queue, settings.queue_timeout_s)
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_open_s)
        self._gateway = pool(settings.gateway_url + "/chat")
        key = settings.cloud_ai_api_key
        with_key = {"X-API-Key": key} if key else None
        self._cloud = pool(settings.cloud_ai_url, with_key) if settings.fallback == "cloud_ai" else None
        self._on_event = on_event

    @property
    def ready(self) -> bool:
        """Whether a call would be answered by someone."""
        return self.breaker.state != "open" or self._cloud is not None

    def ask(self, call: Call, request: Mapping[str, str]) -> Result:
        """Send a gateway request; Cloud AI gets only its message. Raises ApiError."""
        if self._cloud is None:
            self.breaker.check()  # nobody queues for a gateway that is left in peace
        with self.slots.slot(call):
            try:
                return self._through_breaker(call, request)
            except NotSent as failure:
                if self._cloud is None:
                    raise failure.error from None
                return self._fall_back(call, request["message"], failure.error)

    def close(self) -> None:
        """Close idle connections."""
        for pool in (self._gateway, self._cloud):
            if pool is not None:
                pool.close()

    def _through_breaker(self, call: Call, request: Mapping[str, str]) -> Result:
        try:
            number = self.breaker.enter(call.deadline)
        except ApiError as error:
            raise NotSent(error, again=False) from None
        outcome: Outcome = "neither"
        try:
            result = self._with_retries(call, request)
            outcome = "success"
        except (ApiError, NotSent) as failure:
            code = failure.error.code if isinstance(failure, NotSent) else failure.code
            outcome = "failure" if code in FAILURES else "success" if code in SUCCESSES else "neither"
            raise
        else:
            return result
        finally:
            self.breaker.report(number, outcome)

    def _with_retries(self, call: Call, request: Mapping[str, str]) -> Result:
        for attempt in range(1, RETRIES + 2):
            began = monotonic()
            try:
                reply = self._gateway.post(call, request)
            except NotSent as failure:
                call.check("gateway_unreachable")
                if not failure.again or attempt > RETRIES:
                    raise
                cap_s = min(BACKOFF_S * 2 ** (attempt - 1), BACKOFF_CAP_S)
                self._on_event("retries")
                call.ended.wait(random.uniform(0, cap_s))  # noqa: S311 - jitter
                call.check("gateway_unreachable")
            else:
                return Result(lumen.gateway_answer(_body(reply)), "gateway", attempt, monotonic() - began)
        raise AssertionError("unreachable")  # pragma: no cover

    def _fall_back(self, call: Call, message: str, first: ApiError) -> Result:
        if self._cloud is None:
            raise first
        self._on_event("fallbacks")
        began = monotonic()
        try:
            reply = self._cloud.post(call, lumen.cloud_request(message))
        except NotSent:
            raise first from None
        return Result(lumen.cloud_answer(_body(reply)), "cloud_ai", 1, monotonic() - began)


def _body(reply: Reply) -> bytes:
    if reply.status != HTTP_OK:
        raise gateway_status(reply.status, reply.retry_after, datetime.now(UTC))
    return reply.body
