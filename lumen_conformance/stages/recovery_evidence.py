"""The evidence of a recovery: which processes were killed, which replaced them, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lumen_conformance.processes.process_tree import ProcessRef, ProcessState
from lumen_conformance.stages.stage_steps import StageStep

COMMAND_CHARS = 80  # of a command line in a sentence that names several
FOLDER = re.compile(r"(?<!\S)([A-Za-z]:)?[\\/]\S*[\\/]")  # of a file that is named by its whole path
MAX_NAMED = 3  # processes that have ended again, of which there may be one every second


@dataclass(frozen=True)
class NamedProcess:
    """A process and its command line, for the report."""

    ref: ProcessRef
    command: str

    @classmethod
    def of(cls, ref: ProcessRef) -> NamedProcess:
        """Return the process with its command line of now, in which files have no folders."""
        command = FOLDER.sub("", ref.command_line())
        return cls(ref, command if len(command) <= COMMAND_CHARS else f"{command[:COMMAND_CHARS]}…")

    def __str__(self) -> str:
        return f"pid {self.ref.pid} ({self.command})"


@dataclass(frozen=True)
class Recovery(StageStep):
    """What happened after the kill. Seconds count from the kill; None means: not within `waited_s`.

    ``killed``      the processes that served and were killed
    ``ended``       whether all of them had ended within `recovery.END_S`
    ``states``      the state of each of them, at most `recovery.END_S` after the watch
    ``replaced``    new processes that stay, and listen, answer, or run the program of a killed one below its supervisor
    ``replaced_s``  when the first of them was there
    ``passing``     new processes that ended again
    ``answered_s``  when one of them answered on the port of the launch that it is ready
    ``elsewhere``   ports on which the launch listens at the end and did not before the kill
    ``left``        the number of processes of the launch at the end
    ``killed_mono_s``  ``time.monotonic()`` when the first of them was killed
    """

    killed: tuple[NamedProcess, ...]
    ended: bool
    states: tuple[ProcessState, ...]
    waited_s: float
    replaced: tuple[NamedProcess, ...] = ()
    replaced_s: float | None = None
    passing: tuple[NamedProcess, ...] = ()
    answered_s: float | None = None
    elsewhere: tuple[int, ...] = ()
    left: int = 0
    killed_mono_s: float = 0.0

    def name_killed(self) -> str:
        """Return the killed processes as text."""
        return ", ".join(map(str, self.killed))

    def describe_kill(self) -> str:
        """Return a sentence about the kill."""
        return f"{self.name_killed()} {'was' if len(self.killed) == 1 else 'were'} killed"

    def describe_wait(self, awaited: str) -> str:
        """Return a sentence about the wait for this, and about what is left of the launch."""
        left = "no process is left to wait for" if self.left == 0 else f"processes of it that are left: {self.left}"
        more = f" and {len(self.passing) - MAX_NAMED} more" if len(self.passing) > MAX_NAMED else ""
        passing = ", ".join(map(str, self.passing[:MAX_NAMED])) + more
        ended = f"; new processes that ended again: {passing}" if self.passing else ""
        return f"waited {self.waited_s:.1f} s for {awaited}; {left}{ended}"
