"""Calls of the gateway and of Cloud AI, its fallback: with a concurrency limit, a breaker and retries.

One deadline covers queue, retries and fallback. A call is repeated only if no byte of it was written.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lumen_proxy.errors import ApiError
from lumen_proxy.wire import lumen
from lumen_proxy.wire.api_errors import gateway_status
from lumen_proxy.worker.limits import ConcurrencyLimit
from lumen_proxy.worker.upstream.breaker import Breaker
from lumen_proxy.worker.upstream.pool import HTTP_OK, NotSent, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.worker.call import ClientCall
    from lumen_proxy.worker.upstream.breaker import Outcome
    from lumen_proxy.worker.upstream.pool import Reply

RETRIES = 2
BACKOFF_S, BACKOFF_CAP_S = 0.25, 2.0  # doubles, with full jitter

SUCCESSES = {"gateway_declined", "gateway_empty_response"}  # errors for the client, but the gateway answered
NEUTRAL = {"client_gone", "shutting_down"}  # the call ended for another reason
REFUSALS = range(400, 500)  # neutral, too: a limit, or a refused request


class GatewayClient:
    """The Lumen Gateway with its limits and its fallback. `count` counts `retries` and `fallbacks`."""

    def __init__(self, settings: Settings, count: Callable[[str], None] = lambda _: None) -> None:
        def pool(url: str, headers: Mapping[str, str] | None = None) -> Pool:
            return Pool(
                url,
                connect_timeout_s=settings.connect_timeout_s,
                max_response_bytes=settings.max_response_bytes,
                headers=headers,
            )

        self.limit = ConcurrencyLimit(settings.max_concurrency, settings.queue_timeout_s)
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_open_s)
        self._gateway = pool(settings.gateway_url + "/chat")
        key = settings.cloud_ai_api_key
        with_key = {"X-API-Key": key} if key else None
        self._cloud = pool(settings.cloud_ai_url, with_key) if settings.fallback == "cloud_ai" else None
        self._max_bytes = settings.max_response_bytes
        self._count = count

    def check(self) -> None:
        """Raise ApiError circuit_open if a call would be refused now."""
        if self._cloud is None:
            self.breaker.check()

    def answer(self, call: ClientCall, request: Mapping[str, str]) -> lumen.GatewayAnswer:
        """Send a gateway request; Cloud AI gets only its message. Raises ApiError. `call` gets channel and attempts."""
        self.check()  # no call waits while the breaker is open
        with self.limit.slot(call):
            try:
                return self._through_breaker(call, request)
            except NotSent as failure:
                if self._cloud is None:
                    raise failure.error from None
                return self._fall_back(self._cloud, call, request["message"], failure.error)

    def close(self) -> None:
        """Close idle connections."""
        for pool in (self._gateway, self._cloud):
            if pool is not None:
                pool.close()

    def _through_breaker(self, call: ClientCall, request: Mapping[str, str]) -> lumen.GatewayAnswer:
        try:
            number = self.breaker.enter(call.deadline)
        except ApiError as error:
            raise NotSent(error, is_transient=False) from None
        outcome: Outcome = "neutral"
        status = HTTP_OK
        try:
            reply = self._with_retries(call, request)
            status = reply.status
            answer = lumen.gateway_answer(_body(reply), max_bytes=self._max_bytes)
            outcome = "success"
        except (ApiError, NotSent) as failure:
            outcome = _outcome(failure, status)
            raise
        else:
            return answer
        finally:
            self.breaker.report(number, outcome)

    def _with_retries(self, call: ClientCall, request: Mapping[str, str]) -> Reply:
        for attempt in range(1, RETRIES + 2):
            try:
                with call.attempt("gateway"):
                    return self._gateway.post(call, request)
            except NotSent as failure:
                if call.ending != "deadline":  # at the deadline the failure has the better message
                    call.check("gateway_unreachable")
                if call.ending or not failure.is_transient or attempt > RETRIES:
                    raise
                cap_s = min(BACKOFF_S * 2 ** (attempt - 1), BACKOFF_CAP_S)
                self._count("retries")
                call.ended.wait(random.uniform(0, cap_s))  # noqa: S311 - jitter
                call.check("gateway_unreachable")
        raise AssertionError("unreachable")  # pragma: no cover

    def _fall_back(self, cloud: Pool, call: ClientCall, message: str, first: ApiError) -> lumen.GatewayAnswer:
        self._count("fallbacks")
        try:
            with call.attempt("cloud_ai"):
                reply = cloud.post(call, lumen.cloud_request(message))
        except NotSent:
            raise first from None
        return lumen.cloud_answer(_body(reply), max_bytes=self._max_bytes)


def _outcome(failure: ApiError | NotSent, status: int) -> Outcome:
    """The outcome for the breaker. It depends on the gateway's status, not on the error that the client gets."""
    if isinstance(failure, NotSent):
        return "failure"
    if failure.code in SUCCESSES:
        return "success"
    return "neutral" if failure.code in NEUTRAL or status in REFUSALS else "failure"


def _body(reply: Reply) -> bytes:
    if reply.status != HTTP_OK:
        raise gateway_status(reply.status, reply.retry_after, datetime.now(UTC))
    return reply.body
