"""One child process: tagged, its output in files, its end awaited.

Output goes to files, because a pipe that nobody reads stops its writer; that of a server of somebody else goes through
`capped_output`, as it may be endless.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

import psutil

from lumen_conformance.ports import reserved_port
from lumen_conformance.processes import shadow_modules
from lumen_conformance.processes.process_tree import (
    ProcessRef,
    end_remaining,
    find_tagged,
    kill_all,
    list_running,
    list_tree,
)
from lumen_conformance.run import TAG, Run
from lumen_conformance.waiting import observe, until

WINDOWS = os.name == "nt"
STOP_SIGNAL = signal.CTRL_BREAK_EVENT if WINDOWS else signal.SIGTERM  # type: ignore[attr-defined,unused-ignore]
STOP_S = 8.0  # a stop without work in flight takes 0.3 s here; a drain with work is staged with a deadline of its own
ORPHAN_END_S = 5.0  # recovery.md, scenario 7: worker and port are gone within 5 s after their supervisor
LOGS = {".log", ".jsonl"}
TRACEBACKS = (b"Traceback (most recent call last)", b'"event": "internal_error"')  # ours logs type and place only
KILL_ROUNDS = 20  # each ends all that was there when it began; a process that forks on is ended with its parent
LOG_TAIL_CHARS = 2_000  # enough for a traceback, little enough for an error message
LINE_CHARS = 200  # of the last line of a log


class Leaked(Exception):  # noqa: N818 -- reads as what happened
    """Something was left behind: a process, a file, a traceback. It has been ended; its test must not pass."""


@dataclass(frozen=True)
class ProcessEnd:
    """How a child ended: its exit status (negative: a signal), whether it had to be killed, and who outlived it."""

    exit_status: int | None
    forced: bool
    orphans: tuple[str, ...]


class ChildProcess:
    """A process with our tag, its files in `folder` (where it runs, unless `cwd` is given), and all its descendants.

    `planted` names modules that stand in `folder` and must not be imported, see `shadows.plant`. `foreign`: it is not
    ours, so the guard is not in it and nobody misses it there.
    """

    def __init__(
        self, run: Run, label: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path,
        *, cwd: Path | None = None, planted: Iterable[str] = (), foreign: bool = False,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True)
        shadow_modules.write_modules(folder, planted)
        self.folder = folder
        self.argv = tuple(argv)
        self.stdout = folder / "stdout.log"
        self.stderr = folder / "stderr.log"
        self.ending: ProcessEnd | None = None
        self._run = run
        self._foreign = foreign
        self.tag = run.open_tag(label, foreign=foreign)
        try:
            with self._opened(self.stdout) as out, self._opened(self.stderr) as err:
                self._process = subprocess.Popen(
                    self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd or folder,
                    env={**environ, TAG: self.tag},
                    # A group of its own: signals to the group can be staged, and Ctrl-C at pytest is not theirs.
                    start_new_session=not WINDOWS,
                    creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if WINDOWS else 0,  # type: ignore[attr-defined,unused-ignore]
                )  # fmt: skip
        except OSError:
            run.close_tag(self.tag)
            raise
        run.open_pids.add(self.pid)
        self.ref = self._reference()

    def _opened(self, log: Path) -> BinaryIO:
        """What it writes into for this log."""
        return log.open("wb")

    def _reference(self) -> ProcessRef:
        try:
            return ProcessRef.of(self._process.pid)
        except psutil.NoSuchProcess:  # reaped by nobody but us, so only Windows can come here
            return ProcessRef(self._process.pid, 0.0)

    @property
    def pid(self) -> int:
        """The PID of the process that was launched."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def dead(self) -> str | None:
        """Why nothing more is to be expected of it, or None while it runs."""
        status = self.exit_status()
        return None if status is None else f"{self.words()} ended with exit status {status}\n{self.tails()}"

    def words(self) -> str:
        """The command line, for people."""
        return subprocess.list2cmdline(self.argv)

    def wait_output(self) -> None:
        """Wait until all that a process that has ended has printed is in its logs; it prints straight into them."""

    def tails(self) -> str:
        """The ends of both logs."""
        return "\n".join(f"--- end of {path}\n{_tail(path)}" for path in (self.stdout, self.stderr))

    def last_line(self) -> str:
        """The last line that it has printed, cut; empty when it has printed nothing."""
        self.wait_output()
        return _last_line(self.stderr) or _last_line(self.stdout)

    def wait_exit(self, within_s: float) -> int:
        """Its exit status; raises `waiting.Overdue` when it still runs by then."""

        def exited() -> tuple[int] | None:
            status = self.exit_status()
            return None if status is None else (status,)

        return until(f"{self.words()} has ended", exited, within_s=within_s, pause=self._pause)[0]

    def observe_exit(self, within_s: float) -> int | None:
        """Like `wait_exit`, but None when it still runs: for stages, which never judge."""
        if observe("it has ended", lambda: self.exit_status() is not None, within_s=within_s, pause=self._pause):
            return self.exit_status()
        return None

    def send(self, signal_number: int) -> None:
        """A signal to this process alone; nothing happens when it has ended."""
        if self.exit_status() is None:
            self._process.send_signal(signal_number)

    def send_group(self, signal_number: int) -> None:
        """A signal to the whole group, as a terminal or a control group does it (POSIX).

        Nothing happens when this process has ended: the number of its group may belong to others then.
        """
        if self._process.poll() is None:
            os.killpg(self.pid, signal_number)

    def stop(self) -> None:
        """Ask it to stop: SIGTERM, or CTRL_BREAK on Windows."""
        self.send(STOP_SIGNAL)

    def processes(self) -> tuple[ProcessRef, ...]:
        """Every running process of this launch: descendants, and daemons that left the tree."""
        return tuple(dict.fromkeys([*list_running(list_tree(self.ref)), *self._tagged()]))

    def end(self, within_s: float = STOP_S) -> ProcessEnd:
        """Ask it to stop, kill it when it does not, wait until its whole family is gone. Harmless when repeated.

        Whoever outlives an orderly stop for more than `ORPHAN_END_S` is an orphan: named, and ended.
        """
        if self.ending is None:
            self.ending = self._ended(within_s)
            # After an orderly end nobody was left a moment ago, and a look at all processes costs some milliseconds.
            if self._foreign or self.ending.forced or self.ending.orphans:
                self._end_rest()
            self._run.open_pids.discard(self.pid)
            self._run.close_tag(self.tag)
        return self.ending

    def _ended(self, within_s: float) -> ProcessEnd:
        family = list_tree(self.ref)
        self.send(STOP_SIGNAL)
        forced = self.observe_exit(within_s) is None
        if forced:
            kill_all([*family, *self._tagged()])
            self._process.wait()
        return ProcessEnd(self.exit_status(), forced, self._end_orphans(family))

    def _end_rest(self) -> None:
        """Kill what was started meanwhile: a shell whose child is killed forks another before its own end."""
        for _ in range(KILL_ROUNDS):
            if not (rest := self._tagged()):
                return
            kill_all(rest)

    def tracebacks(self) -> tuple[str, ...]:
        """The logs in which a traceback is."""
        logs = (path for path in sorted(self.folder.rglob("*")) if path.suffix in LOGS and path.is_file())
        texts = ((path, path.read_bytes()) for path in logs)
        return tuple(f"a traceback in {path}" for path, text in texts if any(trace in text for trace in TRACEBACKS))

    def _end_orphans(self, family: tuple[ProcessRef, ...]) -> tuple[str, ...]:
        def left() -> tuple[ProcessRef, ...]:
            return tuple(dict.fromkeys([*list_running(family), *self._tagged()]))

        return end_remaining(left, ORPHAN_END_S)

    def _tagged(self) -> tuple[ProcessRef, ...]:
        return tuple(ref for ref, tag in find_tagged(self.tag).items() if tag == self.tag)

    def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(pause_s)


C = TypeVar("C", bound=ChildProcess)


class ProcessFactory:
    """A factory's part that ends whatever it started, the last first.

    Closing raises `Leaked` when something outlived its launch, or when there is a traceback in a log or an import of a
    planted file, unless it is expected. `note` is told the folder of each child at its start.
    """

    is_traceback_expected = False
    are_orphans_expected = False  # of a server that a check holds to what it leaves

    def __init__(self, run: Run, folder: Path, note: Callable[[Path], object] = lambda _folder: None) -> None:
        self.folder = folder
        self.run_tags = run
        self._note = note
        self._stack = ExitStack()
        self._children: list[ChildProcess] = []
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reserve_port(self) -> int:
        """A port that nobody else is given until this factory is closed."""
        return self._stack.enter_context(reserved_port(self.run_tags.worker))

    def logs(self) -> dict[str, str]:
        """Every file of the children so far: ``<launch>/<file>`` to its path."""
        files = (path for child in self._children for path in sorted(child.folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): str(path) for path in files}

    def close(self) -> None:
        """End everything; raises `Leaked` for what was left behind by itself."""
        self._stack.close()
        left = [f"{name} (of {child.words()})" for child in self._children for name in self._left_by(child)]
        self._children.clear()
        if left:
            raise Leaked("left behind: " + "; ".join(left))

    def _left_by(self, child: ChildProcess) -> tuple[str, ...]:
        orphans = () if self.are_orphans_expected else child.end().orphans
        return (
            orphans
            if self.is_traceback_expected
            else (*orphans, *child.tracebacks(), *shadow_modules.find_imported(child.folder))
        )

    def keep(self, child: C) -> C:
        """Answer for this child from now on."""
        self._children.append(child)
        self._stack.callback(child.end)
        self._note(child.folder)
        return child

    def next_folder(self) -> Path:
        """Where the next child has its files."""
        return self.folder / f"{next(self._numbers):02d}"


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", errors="backslashreplace").strip().splitlines() if path.is_file() else []
    return lines[-1].strip()[:LINE_CHARS] if lines else ""


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-LOG_TAIL_CHARS:].decode("utf-8", errors="backslashreplace").strip() or "(empty)"
    except OSError as error:
        return f"({error})"
