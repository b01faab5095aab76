"""Differences between operating systems, with fakes, and the rule that they are in two modules."""

from __future__ import annotations

import ast
import base64
import errno
import os
import queue
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lumen_proxy import platform

LIBRARY = Path(platform.__file__).parent
SYSTEM_MODULES = {LIBRARY / "platform.py", LIBRARY / "console" / "keyboard.py"}
SYSTEM_NAMES = re.compile(
    r"\b(win32|darwin|bsd|linux|fcntl|msvcrt|winreg|ctypes|prctl|pthread_sigmask|killpg|setsid|pass_fds"
    r"|creationflags|startupinfo|start_new_session|preexec_fn|SO_EXCLUSIVEADDRUSE|SO_REUSEADDR|SO_REUSEPORT"
    r"|CTRL_BREAK_EVENT|SIGBREAK|SIGHUP|SIGKILL|fromshare)\b"
)


class Recorder:
    """Records each call; each returns 1, which means success on Windows."""

    def __init__(self, **answers: int) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any function of any library
        def call(*args: object) -> int:
            self.calls.append((name, args))
            return self._answers.get(name, 1)

        self.__dict__[name] = call
        return call

    def names(self) -> list[str]:
        """The names of the called functions, in order."""
        return [name for name, _ in self.calls]


def names_in(file: Path) -> set[str]:
    """All names, attributes, imports, keywords and short strings in the code of a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        for field in ("id", "attr", "name", "arg", "module"):
            found.add(str(getattr(node, field, None)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            found.add(node.value)
    return found


@pytest.mark.parametrize("package", ["supervisor", "control", "console", "health", "monitor", "logs", "."])
def test_other_modules_do_not_depend_on_the_system(package: str) -> None:
    """Names that exist on one system only are in platform.py and keyboard.py."""
    for file in set((LIBRARY / package).glob("*.py")) - SYSTEM_MODULES:
        found = sorted(name for name in names_in(file) if SYSTEM_NAMES.search(name))
        assert not found, f"{file.name} contains {found}"


def test_the_rule_above_can_fail() -> None:
    """The rule finds such names in the two modules."""
    assert {"msvcrt", "pass_fds", "SO_REUSEADDR"} <= set().union(*map(names_in, SYSTEM_MODULES))


@pytest.mark.parametrize(
    ("system", "option"), [("linux", "SO_REUSEADDR"), ("darwin", "SO_REUSEADDR"), ("win32", "SO_EXCLUSIVEADDRUSE")]
)
def test_the_port_is_never_shared(monkeypatch: pytest.MonkeyPatch, system: str, option: str) -> None:
    """The port is exclusive on Windows; other systems use the option that ignores TIME_WAIT."""
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    sock = Recorder()
    platform.set_exclusive(sock, system)  # type: ignore[arg-type]
    assert sock.calls == [("setsockopt", (socket.SOL_SOCKET, vars(socket)[option], 1))]


@pytest.mark.parametrize(
    ("system", "number", "conflict"),
    [
        ("linux", errno.EADDRINUSE, True),
        ("linux", errno.EACCES, False),
        ("darwin", errno.EADDRINUSE, True),
        ("win32", 10048, True),
        ("win32", 10013, True),
        ("win32", 10049, False),
    ],
)
def test_port_conflicts_are_recognized(system: str, number: int, conflict: bool) -> None:  # noqa: FBT001
    """A port conflict is recognized; on Windows it is also an access error."""
    assert platform.is_port_conflict(OSError(number, ""), system) is conflict


def test_systems_that_bind_beside_a_wildcard() -> None:
    """BSD sockets bind beside a listener on all addresses; Linux and Windows do not."""
    allows = {name: platform.allows_bind_beside_wildcard(name) for name in ("linux", "win32", "darwin", "freebsd14")}
    assert allows == {"linux": False, "win32": False, "darwin": True, "freebsd14": True}


def test_sockets_are_shared_with_a_worker() -> None:
    """A socket is shared as a descriptor on POSIX, and for the PID of the worker on Windows."""

    class Shareable(socket.socket):
        def share(self, process_id: int) -> bytes:  # type: ignore[override,unused-ignore]
            return b"for %d" % process_id

    class Inherited(Shareable):  # as on Windows: share() is not socket.socket's own, but its base class's
        pass

    with Inherited() as sock:
        assert platform.share_socket(sock, 42, "linux") == {"fd": sock.fileno()}
        assert base64.b64decode(platform.share_socket(sock, 42, "win32")["share"]) == b"for 42"


def test_options_of_a_new_process() -> None:
    """A worker inherits descriptors on POSIX and has its own process group on Windows."""
    with socket.socket() as sock:
        assert platform.spawn_options([sock], "linux") == {"pass_fds": [sock.fileno()]}
        assert platform.spawn_options([sock], "win32") == {"creationflags": 0x200}
    assert platform.detached_options("linux", inherited=[3]) == {"start_new_session": True, "pass_fds": (3,)}
    assert platform.detached_options("win32") == {"creationflags": 0x08000200}
    assert platform.outliving_options("win32") == {"creationflags": 0x09000200}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal masks")
def test_a_child_starts_with_blocked_signals() -> None:
    """A stop signal directly after the start does not end a child, and the mask is restored."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    code = (
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT); print('lives')"
    )
    with platform.stop_signals_blocked():
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.communicate(timeout=30)[0] == "lives\n"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_without_signal_masks_nothing_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without signal masks needs none."""
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    with platform.stop_signals_blocked():
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    """A SIGHUP that nohup ignores stays ignored; otherwise it is a stop signal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert signal.SIGHUP in platform.stop_signals()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert platform.stop_signals() == (signal.SIGINT, signal.SIGTERM)
    signal.signal(signal.SIGHUP, before)


def test_a_windows_supervisor_has_a_stop_event() -> None:
    """The stop event has the name of the instance."""
    dll, posted = Recorder(CreateEventW=7, OpenEventW=8), queue.SimpleQueue[signal.Signals]()
    platform.on_stop_request("abc", posted.put, "win32", dll)
    assert posted.get(timeout=10) is signal.SIGTERM
    platform.request_stop(42, "abc", "win32", dll)
    name = "Local\\lumen-proxy-abc-stop"
    assert dll.calls == [
        ("CreateEventW", (None, True, False, name)),
        ("WaitForSingleObject", (7, 0xFFFFFFFF)),
        ("OpenEventW", (2, False, name)),
        ("SetEvent", (8,)),
        ("CloseHandle", (8,)),
    ]


def test_a_missing_stop_event_is_an_error() -> None:
    """A process without a stop event cannot be stopped."""
    with pytest.raises(OSError, match="process 42 has no stop event"):
        platform.request_stop(42, "abc", "win32", Recorder(OpenEventW=0))


@pytest.mark.skipif(sys.platform == "win32", reason="asks by signal")
def test_other_systems_use_a_signal() -> None:
    """On other systems a stop request is SIGTERM."""
    dll = Recorder()
    platform.on_stop_request("abc", lambda _: None, "linux", dll)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        platform.request_stop(process.pid, "abc", "linux", dll)
    assert process.returncode == -signal.SIGTERM
    assert not dll.calls


def test_on_windows_children_end_with_the_process() -> None:
    """On Windows a job object kills the children when this process ends."""
    dll = Recorder(CreateJobObjectW=7, GetCurrentProcess=9)
    platform.kill_children_with_this_process("win32", dll)
    assert dll.names() == [
        "CreateJobObjectW",
        "SetInformationJobObject",
        "GetCurrentProcess",
        "AssignProcessToJobObject",
    ]
    job, kind, information, size = dll.calls[1][1]
    assert (job.value, kind, size) == (7, 9, 144)
    assert information.raw[16:20] == (0x2800).to_bytes(4, "little")
    assert [handle.value for handle in dll.calls[3][1]] == [7, 9]


def test_other_systems_need_no_job() -> None:
    """Other systems create no job object."""
    dll = Recorder()
    platform.kill_children_with_this_process("linux", dll)
    assert not dll.calls


@pytest.mark.parametrize(("number", "taken"), [(None, True), (errno.EACCES, False), (errno.EDEADLK, False)])
def test_windows_locks_one_byte(monkeypatch: pytest.MonkeyPatch, number: int | None, taken: bool) -> None:  # noqa: FBT001
    """EACCES and EDEADLK mean that another process holds the lock."""
    calls = []

    def locking(*args: int) -> None:
        calls.append(args)
        if number:
            raise OSError(number, "")

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    assert platform.try_lock(5, "win32") is taken
    assert calls == [(5, 2, 1)]


def test_an_invalid_descriptor_is_an_error(tmp_path: Path) -> None:
    """An invalid descriptor raises an error."""
    descriptor = os.open(tmp_path / "file", os.O_CREAT)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        platform.try_lock(descriptor, "linux")


def test_the_interpreter_of_an_environment() -> None:
    """The interpreter is bin/python, on Windows Scripts/python.exe."""
    assert platform.venv_python(Path("v"), "linux") == Path("v/bin/python")
    assert platform.venv_python(Path("v"), "win32") == Path("v/Scripts/python.exe")
