"""Why an address was not reached. No byte of a request has reached it when one of these is raised.

Nothing was written at all, or it was written to a proxy, which answered 407 instead of passing it on.
"""

from __future__ import annotations

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
"""Another attempt within seconds may succeed. A name look-up that timed out has already used its limits."""


class ConnectFailed(OSError):  # noqa: N818 - the outcome of a connection, not an error of this program
    """The address was not reached. `text` is one clause for people, `remedy` what to do about it, perhaps empty."""

    def __init__(self, kind: Kind, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text
        self.remedy = remedy

    def prefixed(self, prefix: str) -> ConnectFailed:
        """The same failure of a part of the way, such as a proxy."""
        return ConnectFailed(self.kind, prefix + self.text, self.remedy)
