"""Install conditions: what happens to a healthy server in a scenario, such as a worker that hangs.

The product has no switches for tests. ``E2E_LUMEN_CONDITIONS`` names conditions, with a space between two. A stage sets
it for one launch (`conditions`); a mutation may be installed in the same processes. The scenarios of recovery need a
hang, an early end and a step of the clock, which no signal from outside can cause.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # an import of typing takes 10 ms in each child process
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

NAMES = "E2E_LUMEN_CONDITIONS"
CLOCK_FILE = "E2E_LUMEN_CLOCK"  # a file with the seconds by which the clock of the machine is wrong
STARTED_BY = "E2E_LUMEN_STARTED_BY"  # the PID of the process that starts workers
SERVER = "waitress"  # of the modules of our own proxy only a worker imports it
LIMITS = "lumen_proxy.supervisor.time_limits"
MARK = "condition of the suite:"
WORKER = "lumen_proxy.worker"  # in the command line of a worker

CRASH_STATUS = 1  # of a Python program that ends with an exception
PERMANENT_STATUS = 78  # EX_CONFIG of sysexits(3): another attempt has the same result
BOOT_LIMIT_S = 0.25  # an interpreter starts in 0.02 s; the limit of the product is for boots that take longer
# Signals that neither the product nor a library of it uses; they have no names on Windows.
SPIN_SIGNAL = getattr(signal, "SIGVTALRM", 0)
LOCK_SIGNAL = getattr(signal, "SIGPROF", 0)
JITTER = 0.01  # a hundredth of each limit: the delays grow as they do without it, and ten of them take a second


def _after_import(name: str, change: Callable[[ModuleType], object]) -> None:
    # In a child process this folder is on the path.
    import lumen_mutation  # type: ignore[import-not-found]  # noqa: PLC0415

    lumen_mutation.after_import(name, change)


def report(condition: str) -> None:
    """Write a line to standard error, for which a stage waits."""
    os.write(2, f"{MARK} {condition}\n".encode())


def spin_in_the_serving_loop(*_: object) -> None:
    """Run for ever in the main thread; other threads of the process run as well."""
    report("spins")
    while True:
        pass


def hold_the_interpreter(*_: object) -> None:
    """Wait for ever in the main thread, as a library in C that does not release the interpreter: no thread runs."""
    import ctypes  # noqa: PLC0415 -- in one process, once

    report("locks")
    while True:
        ctypes.PyDLL(None).sleep(3600)


def _at_signal(number: int, handler: Callable[..., None]) -> Callable[[], None]:
    """Call this in the main thread of a worker that gets the signal."""
    return lambda: _after_import(SERVER, lambda _: signal.signal(number, handler))


def _end_at_start(status: int) -> Callable[[], None]:
    """End each worker before it imports anything, which takes a tenth of the time of its imports."""
    return lambda: os._exit(status) if WORKER in sys.orig_argv else None


def _hang_at_import() -> None:
    _after_import(SERVER, lambda _: _wait_for_ever())


def _wait_for_ever() -> None:
    import threading  # noqa: PLC0415 -- loaded by the server as well

    report("hangs")
    threading.Event().wait()


def _wait_for_orphanhood() -> None:
    """Start a worker only when its supervisor has ended: a signal at the end of the parent then comes too late.

    The supervisor writes its PID into the environment of its workers: a worker may begin when another process is its
    parent already. The end of its standard input comes before the end of its parent, and the signal between them.
    """
    import time  # noqa: PLC0415 -- loaded by Python itself

    if WORKER not in sys.orig_argv:
        os.environ[STARTED_BY] = str(os.getpid())
        return
    report("waits")  # from now on the stage may kill the supervisor
    while os.getppid() == int(os.environ[STARTED_BY]):
        time.sleep(0.002)  # noqa: TID251 -- a child has no event for the end of its parent


def _start_child() -> None:
    """Let each worker have a child process that does not end by itself, as a library may start one."""
    import subprocess  # noqa: PLC0415 -- loaded by the server as well

    def start(_: ModuleType) -> None:
        null = subprocess.DEVNULL
        subprocess.Popen(["sleep", "3600"], stdin=null, stdout=null, stderr=null)

    _after_import(SERVER, start)


def _shorten_boot() -> None:
    _after_import(LIMITS, lambda limits: setattr(limits, "BOOT_S", BOOT_LIMIT_S))


def _shorten_jitter() -> None:
    import random  # noqa: PLC0415 -- the supervisor imports it

    random.random = lambda: JITTER


def _follow_clock_file() -> None:
    """Add the seconds in a file to the time of day, in each process, as a step of the clock does."""
    import time  # noqa: PLC0415 -- loaded by Python itself

    real_time, path = time.time, os.environ[CLOCK_FILE]

    def stepped() -> float:
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 -- an import of pathlib takes 10 ms
                return real_time() + float(file.read() or 0)
        except OSError:
            return real_time()

    time.time = stepped


CONDITIONS: Mapping[str, Callable[[], None]] = {
    "spins-on-signal": _at_signal(SPIN_SIGNAL, spin_in_the_serving_loop),
    "locks-on-signal": _at_signal(LOCK_SIGNAL, hold_the_interpreter),
    "ends-with-1": _end_at_start(CRASH_STATUS),
    "ends-with-78": _end_at_start(PERMANENT_STATUS),
    "ends-with-0": _end_at_start(0),
    "hangs-at-import": _hang_at_import,
    "has-a-child": _start_child,
    "starts-as-orphan": _wait_for_orphanhood,
    "boot-limit-is-short": _shorten_boot,
    "jitter-is-short": _shorten_jitter,
    "clock-follows-a-file": _follow_clock_file,
}


def conditions(*names: str) -> dict[str, str]:
    """Return the variables that install these conditions in the processes of a launch; raises KeyError."""
    if unknown := set(names) - CONDITIONS.keys():
        raise KeyError(f"unknown conditions {sorted(unknown)}; known: {sorted(CONDITIONS)}")
    return {NAMES: " ".join(names)}


def install() -> None:
    """Install the conditions that the environment names."""
    for name in os.environ[NAMES].split():
        CONDITIONS[name]()
