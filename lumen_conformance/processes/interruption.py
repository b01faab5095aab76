"""The interruption of a run by SIGINT (Ctrl-C) or SIGTERM: the run ends in order, with its report and exit status 2.

Python raises KeyboardInterrupt at any place, so a file may stay open and the teardown of a hook may end early. Python
and pluggy warn about both. With ``filterwarnings = error`` such a warning would replace the interruption, and the run
would end with the exit status of a failed test or of an internal error. So the first signal ends the effect of that
setting.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import pytest

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """The handler of the signals of one run.

    ``errors``  the errors of fixtures that the interrupted run has torn down
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.session: pytest.Session | None = None
        self.is_received = False
        self.is_finishing = False
        self.errors: list[Exception] = []

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt the run. Later signals change nothing, nor does a signal while the results of a run are written.

        pytest writes the results when it has caught the first KeyboardInterrupt; a second one would end that.
        """
        if self.is_received:
            return
        self.is_received = True
        self.ignore_warnings()
        self._config.addinivalue_line("filterwarnings", "ignore")  # of each later hook
        if self.is_finishing:
            return
        if self.session:
            self.session.shouldstop = "interrupted"  # Python drops an exception that a destructor raises
        raise KeyboardInterrupt

    def ignore_warnings(self) -> None:
        """Ignore warnings until pytest restores its filters at the end of the running hook."""
        if self.is_received:
            warnings.simplefilter("ignore")

    @contextmanager
    def keep_errors(self) -> Iterator[None]:
        """Keep an error for the end of an interrupted run: pytest would end without its report."""
        try:
            yield
        except Exception as error:
            if not self.is_received:
                raise
            self.errors.append(error)


INTERRUPTION: Final = pytest.StashKey[Interruption]()


def block_signals() -> None:
    """Keep signals pending until `configure` handles them, also for a program that replaces this one. POSIX only."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def configure(config: pytest.Config) -> None:
    """Handle the signals. A parallel worker does not: its controller ends it."""
    config.stash[INTERRUPTION] = interruption = Interruption(config)
    if hasattr(config, "workerinput"):
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, interruption.handle)
    blocked = () if os.name == "nt" else signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def restore() -> None:
        if os.name != "nt":
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number in handled:
            signal.signal(number, before[number])

    config.add_cleanup(restore)


def begin(session: pytest.Session) -> None:
    """Let a signal stop this session."""
    session.config.stash[INTERRUPTION].session = session


def finish(session: pytest.Session) -> None:
    """Tear down the fixtures of an interrupted test; from now on one signal does not stop the session."""
    interruption = session.config.stash[INTERRUPTION]
    interruption.is_finishing = True
    if interruption.is_received:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
        with interruption.keep_errors():
            session._setupstate.teardown_exact(None)  # noqa: SLF001 -- there is no public name


def unconfigure(config: pytest.Config) -> None:
    """Ignore the warnings of an interrupted run in the last hook, too."""
    if interruption := config.stash.get(INTERRUPTION, None):
        interruption.ignore_warnings()


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the errors of fixtures of an interrupted run."""
    if errors := config.stash[INTERRUPTION].errors:
        terminalreporter.section("errors after the interruption")
        for error in errors:
            terminalreporter.line(f"{type(error).__name__}: {error}")
