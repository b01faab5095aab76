"""Clients that send chats while a proxy is replaced, and a watch of its lock."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import Connection
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.launched_target import LaunchedTarget
from lumen_conformance.waiting import observe

if not WINDOWS:
    import fcntl

CLIENTS = 16  # half of them keep their connections
CLIENT_TIMEOUT_S = 30.0  # a chat takes milliseconds; the rest is for a busy machine
LOOK_S = 0.002  # between two looks at the lock: another process needs longer to take it over
CUT = frozenset(("reset", "aborted", "timeout"))


@dataclass(frozen=True)
class Load:
    """What the clients of a stage met: complete answers with 200, refused connections, cut requests, any other end."""

    answered: int
    refused: int
    cut: int
    other: tuple[str, ...]


def summarize(ends: Mapping[tuple[int | None, str], int]) -> Load:
    """Return the counts of requests by status and end, each request in one of the four groups."""
    known = {(200, "complete"): "answered"} | {end: "refused" for end in ends if end[1] == "refused"}
    known |= {end: "cut" for end in ends if end[1] in CUT}
    counts = Counter[str]()
    for end, number in ends.items():
        counts[known.get(end, "other")] += number
    others = (f"{number} x status {end[0]}, {end[1]}" for end, number in ends.items() if end not in known)
    return Load(counts["answered"], counts["refused"], counts["cut"], tuple(sorted(others)))


class UpgradeClients:
    """Threads that send one chat after the other until `stop`; every second one keeps its connection."""

    def __init__(self, proxy: LaunchedTarget) -> None:
        self._proxy = proxy
        self._stop = threading.Event()
        self._ends: Counter[tuple[int | None, str]] = Counter()
        self._lock = threading.Lock()

    @property
    def answered(self) -> int:
        """The number of answers so far."""
        return self._ends[200, "complete"]

    def load(self) -> Load:
        """Return what the clients met so far."""
        with self._lock:
            return summarize(self._ends)

    def wait_answers(self) -> None:
        """Wait until each client may have been answered since now."""
        enough = self.answered + 2 * CLIENTS
        observe("each client is answered", lambda: self.answered >= enough, within_s=CLIENT_TIMEOUT_S)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients until the end of the block; each finishes its last chat."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            for number in range(CLIENTS):
                pool.submit(self._keep_connection if number % 2 else self._open_connections)
            try:
                yield
            finally:
                self._stop.set()

    def _open_connections(self) -> None:
        while not self._stop.is_set():
            self._count(self._proxy.chat("새 연결", timeout_s=CLIENT_TIMEOUT_S))

    def _keep_connection(self) -> None:
        question = {"model": self._proxy.target.model, "messages": [{"role": "user", "content": "같은 연결"}]}
        with Connection(self._proxy.url, self._proxy.headers, CLIENT_TIMEOUT_S) as connection:
            while not self._stop.is_set():
                if not connection.stays_open(0):  # as urllib3 looks before it uses a connection again
                    connection.close()
                self._count(connection.call("POST", CHAT, json=question))

    def _count(self, capture: Capture) -> None:
        with self._lock:
            self._ends[capture.status, capture.ended] += 1


@dataclass(frozen=True)
class Ownership:
    """What was seen of the lock: how often anybody looked, how often it was free, and each owner in turn."""

    looks: int
    free: int
    owners: tuple[str, ...]


class OwnershipMonitor:
    """Looks at lock and state file of an instance many times a second, from a thread."""

    def __init__(self, state_dir: Path, port: int) -> None:
        self._lock, self._state = state_dir / f"proxy-{port}.lock", state_dir / f"proxy-{port}.json"
        self._stop = threading.Event()
        self._looks = self._free = 0
        self._owners: list[str] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Look until the end of the block."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def ownership(self) -> Ownership:
        """Return what was seen."""
        return Ownership(self._looks, self._free, tuple(self._owners))

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            self._looks += 1
            self._free += self._is_free()
            owner = self._read_owner()
            if [owner] != self._owners[-1:]:
                self._owners.append(owner)

    def _is_free(self) -> bool:
        """Return whether the lock could be taken, as `flock` of another process would."""
        try:
            with self._lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except FileNotFoundError:
            return True
        return True

    def _read_owner(self) -> str:
        try:
            return str(json.loads(self._state.read_text("utf-8"))["instance"])
        except (OSError, ValueError):
            return "nobody"
