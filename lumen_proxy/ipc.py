"""The leash: a pair of pipes to the supervisor. Commands come down, events go up, JSON lines both.

The end of the input means that the supervisor is gone: leave at once.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO, NoReturn

from lumen_proxy.errors import Exit


class Leash:
    """The pipes to the supervisor."""

    def __init__(self, commands: BinaryIO, events_fd: int) -> None:
        self._commands = commands
        self._events_fd = events_fd

    def tell(self, event: str, **facts: object) -> None:
        """Send an event. Ends the process if nobody is there; a supervisor that does not read is not waited for."""
        try:
            os.write(self._events_fd, json.dumps({"event": event, **facts}).encode() + b"\n")
        except BlockingIOError:
            pass
        except OSError:
            leave(Exit.OK)

    def hear(self) -> dict[str, Any]:
        """Wait for a command. Ends the process at end of file."""
        line = self._commands.readline()
        if not line:
            leave(Exit.OK)
        command: dict[str, Any] = json.loads(line)
        return command


def leave(status: int) -> NoReturn:
    """End at once, whatever other threads do."""
    sys.stderr.flush()
    os._exit(status)


def private_stdout() -> int:
    """Keep standard output for events; what anything prints goes to standard error."""
    events_fd = os.dup(1)
    os.dup2(2, 1)
    if os.name == "posix":
        os.set_blocking(events_fd, False)
    return events_fd
