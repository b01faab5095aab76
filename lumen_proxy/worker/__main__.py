"""A worker process, started by the supervisor. What it serves with is imported last, so that it can say what lacks."""

from __future__ import annotations

import gc
import signal
import sys

from lumen_proxy import import_failure
from lumen_proxy.config import load
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import Leash, leave, private_stdout


def _die_with_parent() -> None:
    """Even when stopped or stuck: on Linux the kernel sees to it. Elsewhere the leash alone must do."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only there

        pr_set_pdeathsig = 1  # linux/prctl.h
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _ignore_signals() -> None:
    """A signal to the whole group reaches the supervisor, too; it decides."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def main() -> int:
    """Run one worker; return its exit status."""
    _ignore_signals()
    _die_with_parent()
    leash = Leash(sys.stdin.buffer, private_stdout())
    gc.disable()  # what an import makes stays: looking through it for garbage would be a tenth of the start
    try:
        # Metrics and streams import these at their first use: a broken one must be known before (20 ms together).
        import prometheus_client.core  # noqa: F401, PLC0415
        import regex  # noqa: F401, PLC0415

        from lumen_proxy.worker.process import Worker  # noqa: PLC0415 - a broken environment is one line, not a traceback
    except Exception as error:  # noqa: BLE001 - a module that is imported may raise anything
        line = import_failure.explain(error)
        sys.stderr.write(f"lumen-proxy: {line or f'internal error: {error!a}; please report it'}\n")
        return Exit.UNAVAILABLE if line else Exit.SOFTWARE
    gc.freeze()
    gc.enable()
    try:
        return Worker(load(), leash).run()
    except Fatal as fatal:
        sys.stderr.write(f"lumen-proxy: {fatal}\n")
        return fatal.exit_status


if __name__ == "__main__":
    leave(main())
