"""The messages between supervisor and worker: JSON, one message a line, on the standard streams of the worker.

The end of the worker's input means that the supervisor has ended: the worker then ends at once.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, get_origin, get_type_hints

from lumen_proxy.errors import Exit
from lumen_proxy.wire.text import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_BYTES = 65_536  # far above any message: a line without an end must not use up the memory


@dataclass(frozen=True)
class Imported:
    """From a worker: its modules are imported. `pid` is its own; on Windows Popen may know that of a launcher only."""

    pid: int


@dataclass(frozen=True)
class Ready:
    """From a worker: it accepts connections."""


@dataclass(frozen=True)
class Drained:
    """From a worker: it ends now. `cut` requests were not finished."""

    cut: int


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What `/health` shows of a worker. `generation` counts the workers so far; `started_at` is in Unix seconds."""

    instance: str = ""
    supervisor_pid: int = 0
    started_at: float = 0.0
    generation: int = 0

    @property
    def restarts(self) -> int:
        """Workers that served before this one."""
        return max(self.generation - 1, 0)


@dataclass(frozen=True, kw_only=True)
class Serve(Identity):
    """To a worker: accept connections on `listeners`, as `platform.share_socket` describes them."""

    listeners: list[dict[str, Any]]


@dataclass(frozen=True)
class Drain:
    """To a worker: finish the requests in progress within this time, then end."""

    within_s: float


Message = Imported | Ready | Drained | Serve | Drain
KINDS: dict[str, type[Message]] = {kind.__name__.lower(): kind for kind in (Imported, Ready, Drained, Serve, Drain)}


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps({"message": type(message).__name__.lower(), **vars(message)}).encode() + b"\n"


def decode(line: bytes) -> Message | None:
    """The message of a line; None if the line is malformed or its message is unknown."""
    fields = json_object(line)
    kind = KINDS.get(str(fields.pop("message", None)))
    if kind is None:
        return None
    types = get_type_hints(kind)
    if fields.keys() != types.keys() or not all(isinstance(fields[name], _accepted(types[name])) for name in types):
        return None
    return kind(**fields)


def _accepted(hint: Any) -> Any:  # noqa: ANN401 - what isinstance() takes
    if hint is float:
        return int | float
    return get_origin(hint) or hint


def messages(stream: BinaryIO) -> Iterator[Message]:
    """Each message until the end of the stream. A line that is not a message is skipped."""
    while line := stream.readline(LINE_BYTES):
        if message := decode(line):
            yield message


class SupervisorPipes:
    """The pipes of a worker to its supervisor."""

    def __init__(self, commands: BinaryIO, events_fd: int) -> None:
        self._received = messages(commands)
        self._events_fd = events_fd

    def send(self, message: Message) -> None:
        """Send a message; drop it if the supervisor does not read. Ends the process if the supervisor has ended."""
        try:
            os.write(self._events_fd, encode(message))
        except BlockingIOError:
            pass
        except OSError:
            leave(Exit.OK)

    def receive(self) -> Message:
        """Wait for a message. Ends the process if the supervisor has ended."""
        return next(self._received, None) or leave(Exit.OK)


def leave(status: int) -> NoReturn:
    """End the process at once, whatever its other threads do."""
    sys.stderr.flush()
    os._exit(status)


def private_stdout() -> int:
    """Keep standard output for messages, and send what any module prints to standard error. Returns a descriptor."""
    events_fd = os.dup(1)
    os.dup2(2, 1)
    if os.name == "posix":
        os.set_blocking(events_fd, False)
    return events_fd
