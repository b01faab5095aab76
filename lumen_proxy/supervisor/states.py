"""The states of the supervisor's loop, and the events that are not from a worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """The state of the loop."""

    BOOTING = "booting"
    PROMOTED = "promoted"
    HUNG = "hung"
    KILLED = "killed"
    SERVING = "serving"
    WAITING = "waiting"
    DRAINING = "draining"
    HANDED_OVER = "handed_over"
    ENDING = "ending"
    STOPPED = "stopped"

    @property
    def phase(self) -> str:
        """What the state file shows."""
        return "booting" if self in {State.PROMOTED, State.KILLED} else self.value


@dataclass(frozen=True)
class Timeout:
    """The deadline of the current state has passed."""


@dataclass(frozen=True)
class StandbyTimeout:
    """The deadline of the standby has passed."""


@dataclass(frozen=True)
class Checkup:
    """Time to restore deleted files of this instance."""
