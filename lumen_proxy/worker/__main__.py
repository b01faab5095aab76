"""A worker process, started by the supervisor. Its packages are imported last, so that it can report a broken one."""

from __future__ import annotations

import faulthandler
import gc
import select
import signal
import sys

from lumen_proxy import import_failure, platform
from lumen_proxy.config import load
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import SupervisorPipes, leave, private_stdout


def _end_with_parent() -> None:
    """Let the kernel of Linux kill this process when its parent ends, even if it hangs. Elsewhere only the pipes do."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - needed on Linux only

        pr_set_pdeathsig = 1  # linux/prctl.h
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if select.select([0], [], [], 0)[0]:  # no message comes so early, so the parent has ended before the call above
            leave(Exit.OK)


def _ignore_signals() -> None:
    """Ignore signals to the process group: the supervisor gets them, too, and handles them."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _dump_stack_on_signal(descriptor: int) -> None:
    """Write the stack of each thread at a signal of the supervisor, even if a thread never releases the interpreter."""
    if number := platform.dump_signal():
        faulthandler.register(number, descriptor, all_threads=True)


SWITCH_INTERVAL_S = 0.001  # Python: 0.005. With eight threads that compute, the serving loop runs four times as often


def main() -> int:
    """Run one worker; return its exit status."""
    _ignore_signals()
    _end_with_parent()
    events_fd = private_stdout()
    _dump_stack_on_signal(events_fd)
    supervisor = SupervisorPipes(sys.stdin.buffer, events_fd)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.disable()  # imported objects stay: a collection during the imports would be a tenth of the start
    try:
        import regex  # noqa: F401, PLC0415 - streams import it at their first use; a broken one must be found before

        from lumen_proxy.worker.process import Worker  # noqa: PLC0415 - a broken environment is one line, not a traceback
    except Exception as error:  # noqa: BLE001 - a module may raise any exception when it is imported
        line = import_failure.explain(error)
        sys.stderr.write(f"lumen-proxy: {line or f'internal error: {error!a}; please report it'}\n")
        return Exit.UNAVAILABLE if line else Exit.SOFTWARE
    gc.freeze()
    gc.enable()
    try:
        return Worker(load(), supervisor).run()
    except Fatal as fatal:
        sys.stderr.write(f"lumen-proxy: {fatal}\n")
        return fatal.exit_status


if __name__ == "__main__":
    leave(main())
