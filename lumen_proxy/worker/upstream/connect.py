"""A connection for one call of the worker. Whatever fails here, no byte of the call was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_proxy.net.failure import TRANSIENT, ConnectFailed
from lumen_proxy.net.time_limits import TimeLimits
from lumen_proxy.wire.api_errors import problem

if TYPE_CHECKING:
    import socket

    from lumen_proxy.errors import ApiError
    from lumen_proxy.net.failure import Kind
    from lumen_proxy.net.route import Route
    from lumen_proxy.worker.call import Call

MISCONFIGURED: frozenset[Kind] = frozenset({"proxy_auth", "proxy_refused", "tls"})
"""Somebody must change a setting: another attempt fails in the same way."""


class NotSent(Exception):  # noqa: N818 - a fact about the call, not an error of its own
    """The call failed, and no byte of it was written."""

    def __init__(self, error: ApiError, *, again: bool) -> None:
        super().__init__(error.code)
        self.error = error
        self.again = again
        """Whether another attempt could help."""


def connect(route: Route, call: Call, connect_timeout_s: float) -> socket.socket:
    """Connect, within the time for connecting and the call's deadline. Raises NotSent, or ApiError if it has ended."""
    limits = TimeLimits(call.remaining_s(), connect_timeout_s)
    try:
        with call.aborting(limits.abort, "gateway_unreachable"):
            return route.open(limits)
    except ConnectFailed as failure:
        raise NotSent(unreached(failure), again=failure.kind in TRANSIENT) from None


def unreached(failure: ConnectFailed) -> ApiError:
    """The error that a client gets for an address that was not reached."""
    code = "gateway_misconfigured" if failure.kind in MISCONFIGURED else "gateway_unreachable"
    sentences = [f"The gateway cannot be reached: {failure.text}.", failure.remedy and f"To fix it: {failure.remedy}."]
    return problem(code, " ".join(filter(None, sentences)))
