"""One exchange as it was on the wire: what was sent, what came back, and when.

A record never judges. It keeps bytes, because that is where broken servers differ from healthy ones; everything
decoded is derived from them.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lumen_conformance.http.curl import curl_line

Ended = Literal[
    "complete",  # the message ended as its framing says
    "left",  # we hung up: on_body had seen enough
    "timeout",  # the total deadline passed
    "aborted",  # the server closed before the message was complete
    "reset",  # the connection was reset
    "refused",  # nobody listens there
    "unreachable",  # no such name, no route, no TLS
    "invalid",  # what came back is not HTTP, or more than anybody would read
]


@dataclass(frozen=True)
class Capture:
    """A request and whatever answered it.

    ``url``           where it was sent, with the path
    ``request``       every byte sent, head and body
    ``status``        None when no response head arrived
    ``headers``       (name in lower case, value), in wire order, repeated names repeated
    ``raw``           every byte received, in wire form
    ``raw_head``      the part of ``raw`` up to the blank line; all of it when no head could be parsed
    ``body``          the body, chunked coding removed
    ``arrivals``      (seconds since the request was sent, length of ``body`` by then), one per read
    ``ended``         how it ended; network trouble is recorded here, never raised
    ``error``         the trouble in words
    ``elapsed_s``     from the first attempt to connect to the end
    ``ended_s``       from the moment the request was sent to the end, on the same clock as ``arrivals``
    ``sent_mono_s``   ``time.monotonic()`` when the last byte had been sent, to compare with other records
    ``taken_unix_s``  wall clock at that moment, for claims about ``created``
    ``connection``    the number of its connection, from 1; two records of one ``Connection`` that share it: reused
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
    ended_s: float = 0.0
    sent_mono_s: float = 0.0
    taken_unix_s: float = 0.0
    connection: int = 1

    @property
    def method(self) -> str:
        """The first word of the request."""
        return self.request.split(b" ", 1)[0].decode("latin-1")

    @cached_property
    def request_body(self) -> bytes:
        """What was sent after the blank line."""
        return self.request.partition(b"\r\n\r\n")[2]

    @cached_property
    def derived(self) -> dict[object, Any]:
        """What judges have read from these bytes, each once: it goes with the capture."""
        return {}

    @property
    def text(self) -> str:
        """The body for people: broken UTF-8 is shown, not raised."""
        return self.body.decode("utf-8", errors="backslashreplace")

    def json(self) -> Any:  # noqa: ANN401 -- whatever the server sent
        """The body as JSON; raises ValueError. For claims about strictness ask the judges instead."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next(iter(self.header_all(name)), None)

    def header_all(self, name: str) -> tuple[str, ...]:
        """All values of a header, in wire order."""
        return tuple(value for key, value in self.headers if key == name.lower())

    def arrived_s(self, offset: int) -> float | None:
        """Seconds from sending until the body byte at ``offset`` was here; None when it never came."""
        return next((at_s for at_s, length in self.arrivals if length > offset), None)

    def curl(self) -> str:
        """A command line that repeats the request; see `curl.curl_line`."""
        return curl_line(self.url, self.request)


class Witness:
    """The exchange that a failure is about: the last that was made, read again, or held to a claim."""

    last: Capture | None = None

    def forget(self) -> None:
        """A new test has not asked anything yet."""
        self.last = None

    def saw(self, capture: Capture) -> Capture:
        """Keep it, and hand it back."""
        self.last = capture
        return capture


WITNESS = Witness()  # of this process: whoever asks, by whichever function
