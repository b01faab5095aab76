"""The errors of the proxy: `Fatal` ends the program, `ApiError` ends a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses, after sysexits.h. 1 is not used, since a killed process has it on Windows."""

    OK = 0
    USAGE = 64
    UNAVAILABLE = 69
    """A dependency is missing, the virtual environment is broken, or a checked service is down."""
    SOFTWARE = 70
    """Internal error, gave up restarting, or requests were cut at the end of a drain."""
    OS = 71
    CANNOT_CREATE = 73
    """The state or log directory cannot be created or written."""
    IO = 74
    """Input or output failed, such as standard output on a full disk."""
    PORT_IN_USE = 75
    """Another program owns the port, or another instance holds the lock."""
    NO_PERMISSION = 77
    """Permission denied, or an unsafe address to listen on."""
    CONFIG = 78


PERMANENT = frozenset({Exit.USAGE, Exit.UNAVAILABLE, Exit.CANNOT_CREATE, Exit.NO_PERMISSION, Exit.CONFIG})
"""A worker that ends with one of these is not restarted, since a new attempt has the same result."""


class Fatal(Exception):  # noqa: N818 - it ends the program
    """The program ends with this exit status. The message is one line: what failed, where, and the next step."""

    def __init__(self, message: str, exit_status: Exit) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass
class ApiError(Exception):
    """A request ends with this status and this OpenAI error body.

    Source of the body: openai-openapi, `Error`: all four keys, `param` and `code` a string or null.
    """

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, dict[str, str | None]]:
        """The body: `{"error": {"message", "type", "param", "code"}}`."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}
