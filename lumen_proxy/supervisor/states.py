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

    @property
    def is_ending(self) -> bool:
        """Whether this instance ends, so that a new supervisor gets nothing from it."""
        return self in {State.DRAINING, State.HANDED_OVER, State.ENDING, State.STOPPED}

    @property
    def has_served(self) -> bool:
        """Whether the worker has accepted connections. After a hang a worker in `KILLED` has, too: see `hang`."""
        return self in {State.SERVING, State.HUNG, State.DRAINING, State.HANDED_OVER}


@dataclass(frozen=True)
class Timeout:
    """The deadline of the current state has passed."""


@dataclass(frozen=True)
class StandbyTimeout:
    """The deadline of the standby has passed."""


@dataclass(frozen=True)
class Checkup:
    """Time to restore deleted files of this instance."""
