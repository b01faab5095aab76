"""A child process with a tag, with its output in files, and with an end that is awaited.

The output goes to files, because a pipe that is not read blocks its writer. The output of a foreign server goes through
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
from lumen_conformance.processes.sent_signals import note_signal
from lumen_conformance.run import TAG, Run
from lumen_conformance.waiting import observe, until

WINDOWS = os.name == "nt"
STOP_SIGNAL = signal.CTRL_BREAK_EVENT if WINDOWS else signal.SIGTERM  # type: ignore[attr-defined,unused-ignore]
STOP_S = 8.0  # a stop without work in flight takes 0.3 s here; a stage of a drain with work has its own deadline
ORPHAN_END_S = 5.0  # scenario 7: worker and port are gone within 5 s after their supervisor
LOGS = {".log", ".jsonl"}
TRACEBACKS = (b"Traceback (most recent call last)", b'"event": "internal_error"')  # our own proxy logs no traceback
KILL_ROUNDS = 20  # each round kills all that exists at its begin; what a process forks meanwhile is killed in the next
LOG_TAIL_CHARS = 2_000  # enough for a traceback, little enough for an error message
LINE_CHARS = 200  # of the last line of a log


class Leaked(Exception):  # noqa: N818 -- reads as what happened
    """A process (which was ended), a file or a traceback was left behind. The test must not pass."""


@dataclass(frozen=True)
class ProcessEnd:
    """The end of a child: exit status (negative: a signal), whether it was killed, and what outlived it."""

    exit_status: int | None
    forced: bool
    orphans: tuple[str, ...]


class ChildProcess:
    """A process with a tag of this run, and all its descendants.

    Its files are in `folder`, which is its current folder unless `cwd` is given. `shadow_names` names modules that are
    written to `folder` and must not be imported, see `shadow_modules`. `foreign`: it runs without the guard.
    """

    def __init__(
        self, run: Run, label: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path,
        *, cwd: Path | None = None, shadow_names: Iterable[str] = (), foreign: bool = False,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True)
        shadow_modules.write_modules(folder, shadow_names)
        self.folder = folder
        self.argv = tuple(argv)
        self.stdout = folder / "stdout.log"
        self.stderr = folder / "stderr.log"
        self.ending: ProcessEnd | None = None
        self._run = run
        self._foreign = foreign
        self.tag = run.open_tag(label, foreign=foreign)
        try:
            with self._open_log(self.stdout) as out, self._open_log(self.stderr) as err:
                self._process = subprocess.Popen(
                    self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd or folder,
                    env={**environ, TAG: self.tag},
                    # A process group of its own: a test can send signals to it, and Ctrl-C at pytest does not reach it.
                    start_new_session=not WINDOWS,
                    creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if WINDOWS else 0,  # type: ignore[attr-defined,unused-ignore]
                )  # fmt: skip
        except OSError:
            run.close_tag(self.tag)
            raise
        run.open_pids.add(self.pid)
        self.ref = self._reference()

    def _open_log(self, log: Path) -> BinaryIO:
        """Return the file or pipe for this log."""
        return log.open("wb")

    def _reference(self) -> ProcessRef:
        try:
            return ProcessRef.of(self._process.pid)
        except psutil.NoSuchProcess:  # only on Windows: elsewhere it is a zombie until this process reaps it
            return ProcessRef(self._process.pid, 0.0)

    @property
    def pid(self) -> int:
        """The PID of the process that was launched."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """Return the exit status; None while it runs, negative after a signal."""
        return self._process.poll()

    def end_reason(self) -> str | None:
        """Return how it ended, with its logs; None while it runs."""
        status = self.exit_status()
        return None if status is None else f"{self.command_line()} ended with exit status {status}\n{self.log_tails()}"

    def command_line(self) -> str:
        """Return the command line as text."""
        return subprocess.list2cmdline(self.argv)

    def wait_output(self) -> None:
        """Wait until the logs of a process that has ended are complete; here they always are."""

    def log_tails(self) -> str:
        """Return the ends of both logs."""
        return "\n".join(f"--- end of {path}\n{_tail(path)}" for path in (self.stdout, self.stderr))

    def last_line(self) -> str:
        """Return the last line of its output, cut; empty when there is none."""
        self.wait_output()
        return _last_line(self.stderr) or _last_line(self.stdout)

    def wait_exit(self, within_s: float) -> int:
        """Return its exit status; raises `waiting.WaitTimeoutError` when it does not end in time."""

        def exited() -> tuple[int] | None:
            status = self.exit_status()
            return None if status is None else (status,)

        return until(f"{self.command_line()} has ended", exited, within_s=within_s, pause=self._pause)[0]

    def observe_exit(self, within_s: float) -> int | None:
        """Return its exit status; None when it does not end in time: for stages, which do not judge."""
        if observe("it has ended", lambda: self.exit_status() is not None, within_s=within_s, pause=self._pause):
            return self.exit_status()
        return None

    def send(self, signal_number: int) -> None:
        """Send a signal to this process alone; nothing happens when it has ended."""
        if self._process.poll() is None:
            self.ref.send(signal_number)

    def send_group(self, signal_number: int) -> None:
        """Send a signal to the whole process group, as a terminal or a control group does (POSIX).

        Nothing happens when this process has ended: another group may have its number then.
        """
        if self._process.poll() is None:
            note_signal(f"{signal.Signals(signal_number).name} to the group", self.pid, self.ref.start_time)
            os.killpg(self.pid, signal_number)

    def stop(self) -> None:
        """Send SIGTERM, or CTRL_BREAK on Windows."""
        self.send(STOP_SIGNAL)

    def processes(self) -> tuple[ProcessRef, ...]:
        """Return every running process of this launch: descendants, and daemons outside the tree."""
        return tuple(dict.fromkeys([*list_running(list_tree(self.ref)), *self._tagged()]))

    def end(self, within_s: float = STOP_S) -> ProcessEnd:
        """Stop it, kill it when it does not end, and wait until all its processes are gone. It may be called again.

        A process that outlives an orderly stop by more than `ORPHAN_END_S` is an orphan: it is named and killed.
        """
        if self.ending is None:
            self.ending = self._end(within_s)
            # After an orderly end no process was left a moment ago, and a scan costs some milliseconds.
            if self._foreign or self.ending.forced or self.ending.orphans:
                self._end_rest()
            self._run.open_pids.discard(self.pid)
            self._run.close_tag(self.tag)
        return self.ending

    def _end(self, within_s: float) -> ProcessEnd:
        processes = list_tree(self.ref)
        self.send(STOP_SIGNAL)
        forced = self.observe_exit(within_s) is None
        if forced:
            kill_all([*processes, *self._tagged()])
            self._process.wait()
        return ProcessEnd(self.exit_status(), forced, self._end_orphans(processes))

    def _end_rest(self) -> None:
        """Kill what was started meanwhile: a shell whose child is killed starts another before its own end."""
        for _ in range(KILL_ROUNDS):
            if not (rest := self._tagged()):
                return
            kill_all(rest)

    def tracebacks(self) -> tuple[str, ...]:
        """Return a sentence for each log with a traceback."""
        logs = (path for path in sorted(self.folder.rglob("*")) if path.suffix in LOGS and path.is_file())
        texts = ((path, path.read_bytes()) for path in logs)
        return tuple(f"a traceback in {path}" for path, text in texts if any(trace in text for trace in TRACEBACKS))

    def _end_orphans(self, processes: tuple[ProcessRef, ...]) -> tuple[str, ...]:
        def left() -> tuple[ProcessRef, ...]:
            return tuple(dict.fromkeys([*list_running(processes), *self._tagged()]))

        return end_remaining(left, ORPHAN_END_S)

    def _tagged(self) -> tuple[ProcessRef, ...]:
        return tuple(ref for ref, tag in find_tagged(self.tag).items() if tag == self.tag)

    def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(pause_s)


C = TypeVar("C", bound=ChildProcess)


class ProcessFactory:
    """A base class of factories: it ends the processes that it has started, the last first.

    `close` raises `Leaked` when a process outlived its launch, when a log has a traceback, or when a shadow module was
    imported, unless that is expected. `note` is called with the folder of each child at its start.
    """

    is_traceback_expected = False
    are_orphans_expected = False  # a check judges what the server leaves

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
        """Return a port that no other test is given until this factory is closed."""
        return self._stack.enter_context(reserved_port(self.run_tags.worker))

    def logs(self) -> dict[str, str]:
        """Return every file of the children so far: ``<launch>/<file>`` to its path."""
        files = (path for child in self._children for path in sorted(child.folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): str(path) for path in files}

    def close(self) -> None:
        """End all processes; raises `Leaked` for what was left behind."""
        self._stack.close()
        left = [f"{name} (of {child.command_line()})" for child in self._children for name in self._list_left(child)]
        self._children.clear()
        if left:
            raise Leaked("left behind: " + "; ".join(left))

    def _list_left(self, child: ChildProcess) -> tuple[str, ...]:
        orphans = () if self.are_orphans_expected else child.end().orphans
        return (
            orphans
            if self.is_traceback_expected
            else (*orphans, *child.tracebacks(), *shadow_modules.find_imported(child.folder))
        )

    def keep(self, child: C) -> C:
        """End this child with the factory."""
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
