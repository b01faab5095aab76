"""What all gateways of this process received, and what they sent back: the report shows it beside an exchange."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import Final

from lumen_conformance.gateway.exchange import ReceivedRequest, SentBytes

MOST: Final = 5_000  # more than the requests of a run in one process


@dataclass
class ReceivedLog:
    """The last requests; a connection on which no request was read has an entry without a method."""

    entries: deque[tuple[ReceivedRequest, SentBytes]] = field(default_factory=lambda: deque(maxlen=MOST))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _forgotten_mono_s: float = -inf

    def add(self, call: ReceivedRequest, sent: SentBytes) -> None:
        """Add a request; what is sent back may follow."""
        with self._lock:
            if len(self.entries) == self.entries.maxlen:
                self._forgotten_mono_s = self.entries[0][0].at_mono_s
            self.entries.append((call, sent))

    def between(self, begin_mono_s: float, end_mono_s: float) -> list[tuple[ReceivedRequest, SentBytes]] | None:
        """Return what was received between two times; None if a part of it is forgotten."""
        with self._lock:
            if begin_mono_s <= self._forgotten_mono_s:
                return None
            return [each for each in self.entries if begin_mono_s <= each[0].at_mono_s <= end_mono_s]


RECEIVED: Final = ReceivedLog()
