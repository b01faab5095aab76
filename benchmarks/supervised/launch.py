"""One launch of a supervised server for a measurement: its processes, who serves, and how it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from client_load import ClientLoad

from lumen_conformance.http.client import request_bytes
from lumen_conformance.processes import serving_processes
from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running, list_tree
from lumen_conformance.targets.journal import BEGINNING, JournalReader
from lumen_conformance.waiting import observe, until
from supervised.launcher import UNLIMITED
from supervised.servers import KEY, MODEL, SupervisedServer

LAUNCHER: Final = Path(__file__).parent / "launcher.py"
HOST: Final = "127.0.0.1"
READY_S: Final = 120.0  # LiteLLM's proxy takes 15 s for its imports on an idle machine
END_S: Final = 15.0  # circus and supervisord give their programs 10 to 30 s; nothing is in flight here
REST_S: Final = 15.0  # a standby boots in 0.3 s on an idle machine, and in 4 s at a load of twelve
ANSWER_S: Final = 1.0  # an answer takes milliseconds; the next probe asks again
CHAT: Final = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "안녕하세요"}]}).encode()


@dataclass(frozen=True)
class Killing:
    """One SIGKILL: when it was sent, when the processes had ended (seconds, monotonic clock), and to how many.

    ``processes`` is 0 when all of them had ended by themselves before the signal.
    """

    sent_s: float
    ended_s: float
    processes: int


def chat_request(url: str, api_key: str = "") -> bytes:
    """Return the bytes of a chat whose connection ends with its answer."""
    headers = (("Content-Type", "application/json"), ("Connection", "close"), *_key_headers(api_key))
    return request_bytes(url, "POST", "/v1/chat/completions", body=CHAT, headers=headers)


def _key_headers(api_key: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {api_key}"),) if api_key else ()


class SupervisedLaunch:
    """One running server, from ``with`` to its end; raises `waiting.WaitTimeoutError` when it is never ready."""

    def __init__(  # noqa: PLR0913 -- two of them are options
        self, server: SupervisedServer, port: int, gateway_url: str, folder: Path, *, unlimited: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.server, self.port, self.gateway_url = server, port, gateway_url
        self.url = f"http://{HOST}:{port}"
        self.chat = chat_request(self.url, KEY if server.api_key else "")
        self._folder = folder
        self._environ = {
            **os.environ, "LUMEN_STATE_DIR": str(folder / "s"), "LUMEN_LOG_DIR": str(folder / "log"),
            "LUMEN_GATEWAY_URL": gateway_url, UNLIMITED: str(int(unlimited)), **(variables or {}),
        }  # fmt: skip
        self._command = [sys.executable, str(LAUNCHER), server.name, HOST, str(port), gateway_url]
        self._known: set[ProcessRef] = set()
        self._killed_s = 0.0
        self._journal = JournalReader(folder / "log", lambda: None)
        self._mark = BEGINNING

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        with (self._folder / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environ,
                start_new_session=True,
            )  # fmt: skip
        self.master = ProcessRef.of(self.process.pid)
        try:
            until("it is ready", lambda: self.workers() and self.answers(), within_s=READY_S, give_up=self._end_reason)
        except Exception:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def processes(self) -> tuple[ProcessRef, ...]:
        """Return its running processes, the supervisor first."""
        found = list_tree(self.master)
        self._known |= set(found)
        return found

    def workers(self) -> tuple[ProcessRef, ...]:
        """Return the processes that serve, the one that answers just now first."""
        probe = request_bytes(self.url, "GET", self.server.health_path, headers=_key_headers(self.server.api_key))
        processes = self.processes()
        answering = serving_processes.find_answering(processes, self.port, probe)
        serving = serving_processes.find_serving(processes, self.port, answering) if answering else ()
        return tuple(dict.fromkeys(filter(None, (answering, *serving))))

    def listeners(self) -> tuple[ProcessRef, ...]:
        """Return its processes that hold the listening socket."""
        return serving_processes.find_listening(self.processes(), self.port)

    def note(self, refs: set[ProcessRef]) -> None:
        """Kill these processes, too, at the end."""
        self._known |= refs

    def answers(self) -> bool:
        """Return whether a chat is answered with status 200 within a second."""
        with ClientLoad(self.port, self.chat, clients=1) as load:
            return load.wait_answer(time.monotonic(), ANSWER_S) is not None

    def rest(self) -> None:
        """Wait until the supervisor is ready for the next kill."""
        rest_s = self._killed_s + self.server.rest_s - time.monotonic()
        observe("the supervisor forgets the last kill", lambda: False, within_s=max(rest_s, 0.0))
        if self.server.rest_event:
            self._journal.observe(self.server.rest_event, since=self._mark, within_s=REST_S)

    def kill(self, refs: tuple[ProcessRef, ...]) -> Killing:
        """Send SIGKILL to these processes, and wait until the kernel has ended them."""
        descriptors = []
        for ref in refs:
            with contextlib.suppress(ProcessLookupError):  # its own supervisor has ended it
                descriptors.append(os.pidfd_open(ref.pid))
        self._mark = self._journal.mark()
        self._killed_s = sent_s = time.monotonic()
        for descriptor in descriptors:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        for descriptor in descriptors:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)  # readable when the process has ended
            poll.poll()
        ended_s = time.monotonic()
        for descriptor in descriptors:
            os.close(descriptor)
        return Killing(sent_s, ended_s, len(descriptors))

    def end(self) -> None:
        """Stop it; kill what is left of it, also what its supervisor has left behind."""
        self.processes()
        if self.process.poll() is None:
            self.process.terminate()
        observe("it has ended", lambda: self.process.poll() is not None, within_s=END_S)
        kill_all(list_running(self._known | set(self.processes())))
        self.process.wait()

    def _end_reason(self) -> str | None:
        status = self.process.poll()
        return None if status is None else f"it ended with status {status}; see {self._folder}/output.txt"
