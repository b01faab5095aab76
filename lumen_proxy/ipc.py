"""The messages between supervisor and worker: JSON, one message a line, on the standard streams of the worker.

Each message checks its own fields when it is created, so sender and receiver use the same check.

The end of the worker's input means that the supervisor has ended: the worker then ends at once.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from lumen_proxy.errors import Exit
from lumen_proxy.wire.text import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE_BYTES = 65_536  # far above any message: a line without an end must not use up the memory
LARGEST_PID = 2**31 - 1  # pid_t of Linux and macOS
SHOWN_CHARS = 40  # of an invalid value in a report


class InvalidMessage(ValueError):  # noqa: N818 - what it is, not an error of this program
    """A line is not a message, or a field of the message has an impossible value. The text is one line."""


@dataclass(frozen=True)
class Imported:
    """From a worker: its modules are imported. `pid` is its own; on Windows Popen may know that of a launcher only."""

    pid: int

    def __post_init__(self) -> None:
        _require_integer("pid", self.pid, 1, LARGEST_PID)


@dataclass(frozen=True)
class Ready:
    """From a worker: it accepts connections."""


@dataclass(frozen=True)
class Beat:
    """From a worker: its serving loop runs. It is sent every `beat_s`, see there."""


def beat_s(watchdog_s: float) -> float:
    """Seconds between two heartbeats: at least one arrives in each tick of the watchdog, which is twice as long."""
    return watchdog_s / 8


@dataclass(frozen=True)
class Drained:
    """From a worker: it ends now. `cut` requests were not finished."""

    cut: int

    def __post_init__(self) -> None:
        _require_integer("cut", self.cut, 0)


def restarts_before(generation: int) -> int:
    """How often a worker was replaced before this generation. Generation 0 is the time before the first promotion."""
    return max(generation - 1, 0)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What `/health` shows of a worker. `generation` counts the workers so far; `started_at` is in Unix seconds."""

    instance: str = ""
    supervisor_pid: int = 0
    started_at: float = 0.0
    generation: int = 0

    @property
    def restarts(self) -> int:
        """Workers that were promoted before this one."""
        return restarts_before(self.generation)


@dataclass(frozen=True, kw_only=True)
class Serve(Identity):
    """To a worker: accept connections on `listeners`, as `platform.share_socket` describes them."""

    listeners: list[dict[str, Any]]

    def __post_init__(self) -> None:
        _require("instance", self.instance, "a string", is_valid=type(self.instance) is str)
        _require_integer("supervisor_pid", self.supervisor_pid, 1, LARGEST_PID)
        _require_seconds("started_at", self.started_at)
        _require_integer("generation", self.generation, 1)
        is_valid = type(self.listeners) is list and bool(self.listeners) and all(map(_is_listener, self.listeners))
        _require("listeners", self.listeners, 'a list of {"fd": number} or {"share": base64}', is_valid=is_valid)


@dataclass(frozen=True)
class Drain:
    """To a worker: finish the requests in progress within this time, then end.

    `handed_over`: a worker of another supervisor accepts the new connections of the port.
    """

    within_s: float
    handed_over: bool = False

    def __post_init__(self) -> None:
        _require_seconds("within_s", self.within_s)
        _require("handed_over", self.handed_over, "a boolean", is_valid=type(self.handed_over) is bool)


Message = Imported | Ready | Beat | Drained | Serve | Drain


def kind_of(message: type[Message]) -> str:
    """The value of the field `message` in a line."""
    return message.__name__.lower()


KINDS: dict[str, type[Message]] = {kind_of(one): one for one in (Imported, Ready, Beat, Drained, Serve, Drain)}


def _require(name: str, value: object, expected: str, *, is_valid: bool) -> None:
    if not is_valid:
        shown = repr(value)
        raise InvalidMessage(f"{name} is {shown[:SHOWN_CHARS]}, expected {expected}")


def _require_integer(name: str, value: object, least: int, most: int | None = None) -> None:
    is_valid = type(value) is int and least <= value and (most is None or value <= most)  # `bool` is no integer here
    _require(name, value, f"an integer from {least}" + (f" to {most}" if most else ""), is_valid=is_valid)


def _require_seconds(name: str, value: object) -> None:
    is_valid = type(value) is float and math.isfinite(value) and value >= 0
    _require(name, value, "a finite number of seconds, such as 1.5", is_valid=is_valid)


def _is_listener(value: object) -> bool:
    match value:
        case {"fd": int(fd), **rest}:
            return type(fd) is int and fd >= 0 and not rest
        case {"share": str(text), **rest}:
            return not rest and _is_base64(text)
    return False


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps({"message": kind_of(type(message)), **vars(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line with its end. Raises InvalidMessage."""
    if not line.endswith(b"\n"):
        raise InvalidMessage(f"a line has no end within {LINE_BYTES} bytes, or the stream ended within it")
    try:
        values: Any = strict_json(line)
    except ValueError:
        raise InvalidMessage("a line is not JSON") from None
    kind = KINDS.get(str(values.pop("message", None))) if isinstance(values, dict) else None
    if kind is None:
        raise InvalidMessage(f"a line is not one of the messages {', '.join(KINDS)}")
    names = {field.name for field in fields(kind)}
    if values.keys() != names:
        raise InvalidMessage(f"{kind_of(kind)} has other fields than {', '.join(sorted(names)) or 'none'}")
    return kind(**values)


def messages(stream: BinaryIO, report: Callable[[str], object]) -> Iterator[Message]:
    """Each message until the end of the stream.

    A line that is not a valid message is discarded whole and passed to `report`: it may be the output of a module that
    Python loads before the worker. If it was a damaged message, the supervisor's deadline ends the wait for it.
    """
    while line := stream.readline(LINE_BYTES):
        try:
            message = decode(line)
        except InvalidMessage as error:
            report(f"invalid message ignored: {error}")
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_BYTES)
        else:
            yield message


class SupervisorPipes:
    """The pipes of a worker to its supervisor.

    If `never_blocks` is false (Windows), `send` waits while the supervisor does not read: it may be suspended.
    """

    def __init__(self, commands: BinaryIO, events_fd: int) -> None:
        self._received = messages(commands, _report)
        self.never_blocks = os.name == "posix"
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


def _report(problem: str) -> None:
    with contextlib.suppress(OSError):  # a closed or full standard error must not end the thread that reads
        sys.stderr.write(f"lumen-proxy: {problem} (from the supervisor)\n")


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
