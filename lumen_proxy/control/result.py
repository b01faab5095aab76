"""The result of `start`, `stop` and `restart`; its fields are those of `--json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lumen_proxy.errors import Exit


@dataclass(frozen=True)
class ControlResult:
    """What a command did. `said` is its line for standard output; `problems` and `note` are for standard error.

    `refused`: nothing was changed, because another program has the port, or because an instance runs with other
    settings.
    """

    did: Literal["started", "already_running", "stopped", "not_running", "killed", "failed", "refused"]
    exit_status: Exit
    port: int
    said: str | None = None
    pid: int | None = None
    instance: str | None = None
    url: str | None = None
    problems: tuple[str, ...] = ()
    note: str | None = None
    differences: tuple[dict[str, str], ...] = ()
