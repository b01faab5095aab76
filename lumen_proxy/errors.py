"""The two ways in which things go wrong: a program that ends, and a request that is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses, after sysexits.h. 1 stays unused: it is what a kill looks like on Windows."""

    OK = 0
    USAGE = 64
    UNAVAILABLE = 69
    """A dependency is missing or the virtual environment is broken; something asked about is down."""
    SOFTWARE = 70
    """Internal error, gave up restarting, or requests were cut at the end of a drain."""
    OS = 71
    CANNOT_CREATE = 73
    """The state or log directory cannot be created or written."""
    IO = 74
    """Input or output failed, such as standard output on a full disk."""
    PORT_IN_USE = 75
    """The port has another owner, or another instance of ours holds the lock."""
    NO_PERMISSION = 77
    """Permission denied, or an unsafe bind was refused."""
    CONFIG = 78


PERMANENT = frozenset({Exit.USAGE, Exit.UNAVAILABLE, Exit.CANNOT_CREATE, Exit.NO_PERMISSION, Exit.CONFIG})
"""Statuses that a new attempt cannot change: a worker that ends with one is never restarted."""


class Fatal(Exception):  # noqa: N818 - it is a verdict on the program, not an error to be handled
    """The program cannot go on. The message is one line: what, where, who, next step."""

    def __init__(self, message: str, exit_status: Exit) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass
class ApiError(Exception):
    """A request ends with this status and this OpenAI error body.

    Source of the shape: openai-openapi, `Error`: all four keys, `param` and `code` string or null.
    """

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, dict[str, str | None]]:
        """The envelope: `{"error": {"message", "type", "param", "code"}}`."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}
