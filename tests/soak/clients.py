"""The clients of a soak test: plain chats, streams, kept connections, and clients that leave in the middle."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Final

from lumen_conformance.http.client import Connection
from tests.soak.oracle import WELL, RequestOutcome, name_outcome

CHAT: Final = "/v1/chat/completions"
MODEL: Final = "lumen-sena"
CLIENTS: Final = 6  # fewer than the limit of calls at once: without a disturbance no client meets it
MORE_CLIENTS: Final = 40  # more than the limits of calls and of waiting requests together
ANSWER_S: Final = 30.0  # three times the time for a late answer
THINK_S: Final = 0.05  # between two questions, so that errors that come at once do not use up the processors
STREAM_SHARE: Final = 0.4
KEPT_SHARE: Final = 0.5
LEAVE_SHARE: Final = 0.05


class SoakClients:
    """Threads that ask one question after the other. Outcomes without an answer are kept, answers are counted."""

    def __init__(self, url: str, seed: str) -> None:
        self.counts: Counter[str] = Counter()
        self.outcomes: list[RequestOutcome] = []
        self._url, self._seed = url, seed
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS + MORE_CLIENTS)
        self._running: list[Future[None]] = []

    def start(self) -> None:
        """Start the clients that ask until the end."""
        self._running += [self._pool.submit(self._ask_on, f"{self._seed}-{number}") for number in range(CLIENTS)]

    def crowd(self) -> None:
        """Ask many questions at once, and wait for their ends."""
        crowd = [self._pool.submit(self._ask_once, f"crowd-{number}") for number in range(MORE_CLIENTS)]
        for each in crowd:
            each.result()

    def stop(self) -> None:
        """End each client after its question; raises what a client raised."""
        self._ended.set()
        self._pool.shutdown()
        for each in self._running:
            each.result()

    def _ask_on(self, seed: str) -> None:
        random, opened_s, number = Random(seed), 0.0, 0
        with Connection(self._url, timeout_s=ANSWER_S) as connection:
            while not self._ended.wait(random.uniform(0, THINK_S)):
                if random.random() >= KEPT_SHARE or not opened_s:
                    connection.close()
                    opened_s = time.monotonic()
                number += 1
                sent_s = time.monotonic()
                word = self._ask(connection, random, f"질문 {seed} {number}", opened_s)
                opened_s = sent_s if word == "answered" else 0.0  # it was open then, and is

    def _ask_once(self, name: str) -> None:
        with Connection(self._url, timeout_s=ANSWER_S) as connection:
            self._ask(connection, Random(name), f"질문 {name}", time.monotonic())

    def _ask(self, connection: Connection, random: Random, question: str, opened_s: float) -> str:
        is_stream, leaves = random.random() < STREAM_SHARE, random.random() < LEAVE_SHARE
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "stream": is_stream}
        sent_s = time.monotonic()
        capture = connection.call("POST", CHAT, json=body, on_body=(lambda _: True) if leaves else None)
        word = name_outcome(capture, question, is_stream=is_stream)
        detail = f"{'stream' if is_stream else 'plain'} {capture.status} {capture.ended} {capture.error or ''} "
        detail += f"connection {capture.connection}, {capture.elapsed_s:.3f} s, {capture.text[:200]!r}"
        outcome = RequestOutcome(word, opened_s, sent_s, time.monotonic(), detail)
        with self._lock:
            self.counts[word] += 1
            if word not in WELL:
                self.outcomes.append(outcome)
        return word


def ask(url: str, question: str) -> str:
    """Ask one question on a new connection; return the word for its end."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}]}
    with Connection(url, timeout_s=ANSWER_S) as connection:
        return name_outcome(connection.call("POST", CHAT, json=body), question, is_stream=False)
