"""Process identity: on Linux by proc(5), on other systems by psutil, with fakes for each system."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lumen_proxy import platform
from lumen_proxy.supervisor import process_identity

TICKS_PER_S = 100


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /proc of a Linux with 100 ticks per second."""
    monkeypatch.setattr(os, "sysconf", lambda _: TICKS_PER_S, raising=False)
    (tmp_path / "proc").mkdir()
    return tmp_path / "proc"


def stat_of(proc: Path, pid: int, *, name: str = "python", state: str = "S", ticks: int = 123_456) -> None:
    """The stat file of a process: fields 1 to 22."""
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {state} " + "0 " * 18 + f"{ticks} 0 0\n")


@pytest.mark.parametrize("name", ["python", "a b", "x) R 1 (y"])
def test_linux_counts_from_boot(proc: Path, name: str) -> None:
    """The start stamp is field 22 in seconds, whatever the name of the program contains."""
    stat_of(proc, 7, name=name)
    assert process_identity.start_stamp(7, "linux", proc) == 1234.56


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_dead_process_has_no_start(proc: Path, state: str) -> None:
    """A zombie and a missing process have no start stamp."""
    stat_of(proc, 7, state=state)
    assert process_identity.start_stamp(7, "linux", proc) is None
    assert process_identity.start_stamp(8, "linux", proc) is None


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_use_the_stored_start(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """On other systems the stamp comes from psutil; a zombie and a missing process have none."""
    found: dict[int, SimpleNamespace] = {
        1: SimpleNamespace(status=lambda: "running", create_time=lambda: 5.25),
        2: SimpleNamespace(status=lambda: psutil.STATUS_ZOMBIE, create_time=lambda: 5.25),
    }

    def process(pid: int) -> SimpleNamespace:
        if pid not in found:
            raise psutil.NoSuchProcess(pid)
        return found[pid]

    monkeypatch.setattr(psutil, "Process", process)
    assert [process_identity.start_stamp(pid, system) for pid in (1, 2, 3)] == [5.25, None, None]


def test_a_start_is_compared_to_the_tick() -> None:
    """Stamps that differ by a tick, and unknown stamps, are different processes."""
    assert process_identity.is_same_start(10.25, 10.25)
    assert not process_identity.is_same_start(10.25, 10.26)
    assert not process_identity.is_same_start(10.25, None)


def descriptor(proc: Path, pid: int, target: str, *, locked: bool = True, inode: int = 1) -> None:
    """An open file of a process, as /proc shows it."""
    for folder in ("fd", "fdinfo"):
        (proc / str(pid) / folder).mkdir(parents=True, exist_ok=True)
    (proc / str(pid) / "fd" / "5").symlink_to(target)
    line = f"lock:\t1: FLOCK  ADVISORY  WRITE {pid} fe:00:{inode} 0 EOF\n" if locked else ""
    (proc / str(pid) / "fdinfo" / "5").write_text(f"pos:\t0\n{line}")


def test_linux_names_the_owner_of_a_lock(proc: Path, tmp_path: Path) -> None:
    """The owner of a lock is listed by inode and confirmed by its open file."""
    path = tmp_path / "proxy-1.lock"
    path.touch()
    inode = path.stat().st_ino
    descriptor(proc, 7, str(path), inode=inode)
    descriptor(proc, 8, str(path), locked=False)
    assert process_identity.lock_owner(path, [], "linux", proc) is None
    assert process_identity.lock_owner(path, [None, 8, 7], "linux", proc) == 7
    (proc / "locks").write_text(f"1: FLOCK  ADVISORY  WRITE 7 fe:00:{inode} 0 EOF\n")
    assert process_identity.lock_owner(path, [], "linux", proc) == 7


def test_a_lock_on_a_deleted_file_is_found(proc: Path, tmp_path: Path) -> None:
    """A lock on a deleted file is found by its path; a hidden process gives None."""
    path = tmp_path / "proxy-1.lock"
    descriptor(proc, 7, f"{path} (deleted)")
    descriptor(proc, 8, "/elsewhere/proxy-1.lock (deleted)")
    assert [process_identity.holds_lock(pid, path, "linux", proc) for pid in (7, 8, 9)] == [True, False, None]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_use_the_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """On other systems an open lock file means a held lock; otherwise the result is None."""
    path = tmp_path / "proxy-1.lock"
    opened = {7: [SimpleNamespace(path=str(path))], 8: []}

    def process(pid: int) -> SimpleNamespace:
        if pid not in opened:
            raise psutil.AccessDenied(pid)
        return SimpleNamespace(open_files=lambda: opened[pid])

    monkeypatch.setattr(psutil, "Process", process)
    assert [process_identity.holds_lock(pid, path, system) for pid in (7, 8, 9)] == [True, None, None]
    assert process_identity.lock_owner(path, [9, 8, 7], system) == 7


def test_the_user_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process belongs to this user; a process with a hidden user does not."""
    assert process_identity.is_own(os.getpid())
    monkeypatch.setattr(process_identity, "user_name", lambda _: None)
    assert not process_identity.is_own(os.getpid())


def test_this_system_is_supported() -> None:
    """The start stamp of this process is known."""
    assert platform.SYSTEM
    assert process_identity.start_stamp(os.getpid()) is not None


@pytest.mark.parametrize(
    ("command", "is_stranger"),
    [
        ("/venv/bin/python -P -m lumen_proxy serve", False),
        ("/venv/bin/python3.12 /venv/bin/lumen-proxy serve", False),
        ("/opt/lumen-proxy serve", False),
        ("", False),
        ("flock -x /state/lumen-proxy/proxy-8080.lock sleep 40", True),
        ("flock -x /tmp/lock lumen-proxy", True),
        ("python3 -m http.server", True),
    ],
)
def test_a_lumen_proxy_is_recognized_by_its_command_line(
    monkeypatch: pytest.MonkeyPatch, command: str, *, is_stranger: bool
) -> None:
    """A lumen-proxy is recognized as a module, script or program; other command lines are other programs."""
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: command.split())
    assert (process_identity.describe_other_program(os.getpid()) is not None) == is_stranger
