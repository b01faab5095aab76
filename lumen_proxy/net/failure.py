"""The failures to reach an address. None of a request has reached it when one of these is raised.

Nothing was written, or an HTTP proxy received it, answered with 407 and sent nothing on.
"""

from __future__ import annotations

import errno
import os
from typing import Literal

Kind = Literal[
    "aborted",
    "connect_timeout",
    "dns_failure",
    "dns_timeout",
    "lost",
    "no_route",
    "proxy_auth",
    "proxy_failed",
    "proxy_refused",
    "refused",
    "tls",
    "unknown_host",
]
TRANSIENT: frozenset[Kind] = frozenset(
    {"connect_timeout", "dns_failure", "lost", "no_route", "proxy_failed", "refused", "unknown_host"}
)
"""Another attempt within seconds may succeed. A look-up that timed out is not among them: it has used up its time."""


class ConnectFailed(OSError):  # noqa: N818 - the outcome of a connection, not an error of this program
    """The address was not reached. `text` is one clause for people, `remedy` the way to fix it, perhaps empty."""

    def __init__(self, kind: Kind, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text
        self.remedy = remedy

    def prefixed(self, prefix: str) -> ConnectFailed:
        """The same failure with a prefix, such as the name of a proxy."""
        return ConnectFailed(self.kind, prefix + self.text, self.remedy)


def no_connection(code: int | None) -> ConnectFailed:
    """The failure for an error number of the system."""
    return ConnectFailed("no_route", f"no connection could be made: {os.strerror(code or errno.EIO)}")


def connect_timeout(what: str, connect_s: float) -> ConnectFailed:
    """The failure for a step that did not end in time; its text names the setting."""
    text = f"{what} in time (LUMEN_CONNECT_TIMEOUT_S={connect_s:g})"
    return ConnectFailed("connect_timeout", text, "raise LUMEN_CONNECT_TIMEOUT_S if the network is slow")
