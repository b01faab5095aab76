"""What other commands see of an instance: its state file, its records and its ready line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.logs.journal import Journal
from lumen_proxy.logs.rotation import RotatedFile
from lumen_proxy.supervisor import instance_lock, state
from lumen_proxy.supervisor.instance import Instance
from lumen_proxy.supervisor.listener import Listener

PORT = 8080


class RecordedInstance:
    """An instance in a folder of its own."""

    def __init__(self, folder: Path, lock: instance_lock.FileLock) -> None:
        self.folder = folder
        self.announced: list[str] = []
        places = {"LUMEN_STATE_DIR": str(folder), "LUMEN_LOG_DIR": str(folder)}
        settings = config.load({**places, "CLOUD_AI_URL": "http://127.0.0.1:1/chat?key=canary"}, {"port": str(PORT)})
        journal = Journal(RotatedFile(folder / "journal", max_bytes=1_000, keep=0, days=1), "abc")
        listener = Listener((), ("127.0.0.1",), PORT)
        self.instance = Instance(settings, listener, lock, journal, self.announced.append)

    @property
    def state(self) -> state.InstanceState:
        """The content of the state file."""
        found = state.read(state.state_path(self.folder, PORT))
        assert found
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RecordedInstance]:
    """An instance that holds its lock."""
    lock = instance_lock.claim(tmp_path, PORT)
    yield RecordedInstance(tmp_path, lock)
    lock.release()


def test_the_state_file_follows_the_loop(desk: RecordedInstance) -> None:
    """Each phase, failure and generation is in the file; the worker that serves second is one restart."""
    desk.instance.enter_phase("booting")
    assert (desk.state.phase, desk.state.generation, desk.state.restarts) == ("booting", 0, 0)
    desk.instance.note_failure("worker 7 ended with signal 9")
    desk.instance.enter_phase("waiting")
    failure = desk.state.last_failure or {}
    assert (desk.state.phase, failure["what"]) == ("waiting", "worker 7 ended with signal 9")
    desk.instance.enter_phase("serving")
    desk.instance.publish_generation(2)
    assert (desk.state.phase, desk.state.generation, desk.state.restarts) == ("serving", 2, 1)


def test_the_ready_line_is_announced_once(desk: RecordedInstance) -> None:
    """No generation after the first one that serves is announced."""
    for generation in (2, 3):
        desk.instance.publish_generation(generation)
    (line,) = desk.announced
    assert line.startswith(f"ready on http://127.0.0.1:{PORT} (pid ")
    assert line.endswith(", instance abc)")


def test_the_query_of_an_address_is_not_written(desk: RecordedInstance) -> None:
    """The query may be a secret."""
    desk.instance.enter_phase("booting")
    assert desk.state.cloud_ai_url == "http://127.0.0.1:1/chat"
    assert "canary" not in state.state_path(desk.folder, PORT).read_text()


def test_a_hang_is_in_the_state_file_while_it_lasts(desk: RecordedInstance) -> None:
    """Its phase ends with the silence, or with the next phase; the phase of the kill keeps it."""
    hang = {"worker_pid": 7, "since_mono": 1.5, "watchdog_s": 10.0}
    found: list[tuple[str, object]] = []
    desk.instance.publish_generation(1)
    for shown in (hang, None, hang):
        desk.instance.publish_hang(shown)
        found.append((desk.state.phase, desk.state.hang))
    for phase in ("hung", "booting"):
        desk.instance.enter_phase(phase)
        found.append((desk.state.phase, desk.state.hang))
    assert found == [("hung", hang), ("serving", None), ("hung", hang), ("hung", hang), ("booting", None)]


@pytest.mark.parametrize(("instance", "is_kept"), [("abc", True), ("of another", False)])
def test_readiness_removes_old_records(desk: RecordedInstance, instance: str, is_kept: bool) -> None:  # noqa: FBT001 - a row
    """The record of an earlier end goes; that of a restart stays if the restart is about to stop this instance."""
    desk.instance.record_end("failed", "why")
    end, restart = state.end_path(desk.folder, PORT), state.restart_path(desk.folder, PORT)
    ended = state.read(end)
    assert ended
    assert {"kind": "failed", "what": "why"}.items() <= (ended.ended or {}).items()
    state.write(restart, replace(ended, instance=instance))
    desk.instance.publish_generation(1)
    assert (end.exists(), restart.exists()) == (False, is_kept)


def test_deleted_files_are_restored(desk: RecordedInstance) -> None:
    """A cleaner of old files may delete state file and lock; both are made again."""
    desk.instance.enter_phase("booting")
    lock = instance_lock.lock_path(desk.folder, PORT)
    lock.unlink()
    state.state_path(desk.folder, PORT).unlink()
    desk.instance.restore_files()
    assert desk.state.phase == "booting"
    assert instance_lock.is_locked(lock)
