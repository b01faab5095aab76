"""The record of one HTTP exchange: the bytes that were sent and received, with times.

A record contains no judgement. It keeps the raw bytes, because defects are visible there; decoded values are derived
from the bytes.
"""

import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Literal

from lumen_conformance.http.curl import curl_line

Ended = Literal[
    "complete",  # the message ended as its framing says
    "left",  # the client closed the connection: on_body returned a true value
    "timeout",  # the total deadline passed
    "aborted",  # the server closed the connection before the message was complete
    "reset",  # the connection was reset
    "refused",  # the connection was refused
    "unreachable",  # the name was not resolved, there is no route, or TLS failed
    "invalid",  # the response is not HTTP, or it is larger than the limits of the client
]
# Other statuses from 400 to 499 say something else: 401 is about the key, 404 about the path or the model, 408 and 429
# about the moment.
REFUSALS = frozenset((400, 403, 413, 415, 422))
REFUSAL_TEXT = f"a refusal (status {', '.join(map(str, sorted(REFUSALS)[:-1]))} or {max(REFUSALS)})"


@dataclass(frozen=True)
class Capture:
    """A request and its response.

    ``url``           the URL of the request, with the path
    ``request``       every byte sent, head and body
    ``status``        None when no response head arrived
    ``headers``       (name in lower case, value), in wire order, repeated names repeated
    ``raw``           every byte received, as received
    ``raw_head``      the part of ``raw`` up to the blank line; all of ``raw`` when no head could be parsed
    ``body``          the body, without the chunked coding
    ``arrivals``      (seconds since the request was sent, length of ``body`` by then), one for each read
    ``ended``         how the exchange ended; network errors are recorded here, not raised
    ``error``         a description of the network error
    ``elapsed_s``     from the first attempt to connect to the end
    ``connected_s``   from the first attempt to connect to the connection; almost zero if it was open before
    ``first_byte_s``  from the time the request was sent to the first byte of the response; None when none arrived
    ``ended_s``       from the time the request was sent to the end, on the same clock as ``arrivals``
    ``sent_mono_s``   ``time.monotonic()`` when the last byte was sent
    ``taken_unix_s``  wall clock at that time, to compare with ``created``
    ``connection``    the number of the connection, from 1; two records of one ``Connection`` with the same number used
                      the same connection
    ``earlier``       the requests that were sent before on this connection
    """

    url: str
    request: bytes
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes = b""
    raw_head: bytes = b""
    body: bytes = b""
    arrivals: tuple[tuple[float, int], ...] = ()
    ended: Ended = "aborted"
    error: str | None = None
    elapsed_s: float = 0.0
    connected_s: float = 0.0
    first_byte_s: float | None = None
    ended_s: float = 0.0
    sent_mono_s: float = 0.0
    taken_unix_s: float = 0.0
    connection: int = 1
    earlier: tuple[bytes, ...] = ()

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.request.split(b" ", 1)[0].decode("latin-1")

    @cached_property
    def request_body(self) -> bytes:
        """The bytes that were sent after the blank line."""
        return self.request.partition(b"\r\n\r\n")[2]

    @cached_property
    def derived(self) -> dict[object, Any]:
        """A cache of values that are computed from the bytes; see `documents.cached_on_capture`."""
        return {}

    @property
    def is_refusal(self) -> bool:
        """Whether the status says that the server does not serve this request as it is."""
        return self.status in REFUSALS

    @property
    def is_client_error(self) -> bool:
        """Whether the status is from 400 to 499."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def is_server_error(self) -> bool:
        """Whether the status is from 500 on: the server has failed."""
        return self.status is not None and self.status >= 500

    @property
    def is_error(self) -> bool:
        """Whether the status is from 400 on."""
        return self.is_client_error or self.is_server_error

    @property
    def text(self) -> str:
        """The body as text; invalid UTF-8 is escaped."""
        return self.body.decode("utf-8", errors="backslashreplace")

    def json(self) -> Any:  # noqa: ANN401 -- whatever the server sent
        """The body as JSON; raises ValueError. The judges of `checks.b_json` test strictness."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next(iter(self.header_all(name)), None)

    def header_all(self, name: str) -> tuple[str, ...]:
        """All values of a header, in wire order."""
        return tuple(value for key, value in self.headers if key == name.lower())

    def arrived_s(self, offset: int) -> float | None:
        """Seconds from sending until the body byte at ``offset`` arrived; None when it did not arrive."""
        return next((at_s for at_s, length in self.arrivals if length > offset), None)

    def curl(self) -> str:
        """A command line that repeats the request, after those before it on its connection; see `curl.curl_line`."""
        return curl_line(self.url, self.request, self.earlier)


def captures_in(value: object) -> list[Capture]:
    """Return the exchanges in a value: in lists, tuples, dicts and frozen dataclasses."""
    if isinstance(value, Capture):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    elif is_dataclass(value) and not isinstance(value, type) and value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        value = [getattr(value, each.name) for each in fields(value)]
    return [each for part in value for each in captures_in(part)] if isinstance(value, list | tuple) else []


class LastCapture:
    """The exchange that a failure report shows: the last one that was made, read from the cache, or described."""

    capture: Capture | None = None

    def clear(self) -> None:
        """Forget the exchange; called before each test."""
        self.capture = None

    def record(self, capture: Capture) -> Capture:
        """Keep an exchange, and return it."""
        self.capture = capture
        return capture


LAST_CAPTURE = LastCapture()  # one for each process
