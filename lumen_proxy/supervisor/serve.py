"""One instance from its first check to its last file: claims lock and port, runs the loop, tidies up."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lumen_proxy
from lumen_proxy import platform
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import Identity
from lumen_proxy.logs import retention
from lumen_proxy.logs.journal import Journal, path_of
from lumen_proxy.masking import without_query
from lumen_proxy.supervisor import listener, process_identity, recorded_settings, restart_record, state, stop_signals
from lumen_proxy.supervisor.alarm import Alarm
from lumen_proxy.supervisor.loop import Checkup, Event, Loop, Reports, Surroundings
from lumen_proxy.supervisor.spawn import WORKER, Child
from lumen_proxy.wire import allowed_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lumen_proxy.config import Settings

CHECKUP_S = 60.0  # files that a cleaner deleted are back within this; one wake-up a minute costs nothing
INSTANCE_BYTES = 8  # 64 random bits: no two instances will ever share an id


def serve(
    settings: Settings,
    *,
    announce: Callable[[str], None],
    tell: Callable[[str], None],
    command: Sequence[str] = WORKER,
) -> Exit:
    """Keep a worker on the port until told to stop; return the exit status. Main thread only.

    `announce` gets the ready line, `tell` gets lines for people, `command` starts a worker that speaks
    the protocol of `lumen_proxy.ipc`. Raises Fatal where starting is refused.
    """
    listener.refuse_unsafe(settings.host, has_key=settings.api_key is not None)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_signals.watched(events.put))
        bound, lock = _claim(settings, stack)
        settings = replace(settings, port=bound.port)
        journal = _journal(settings)
        retention.drop(settings.log_dir, settings.log_days)
        if bound.note:
            tell(bound.note)
        journal.hear = Alarm(settings).hear
        platform.tie_children_to_this_process()
        platform.on_stop_request(journal.instance, events.put)

        def announce_ready(line: str) -> None:
            announce(line)
            tell(allowed_hosts.summary(settings.host, settings.allowed_hosts, settings.allowed_origins))

        instance = _Instance(settings, bound, lock, journal, announce_ready)
        stack.enter_context(_checkups(events.put))
        return instance.live(events, tell, command)


def _journal(settings: Settings) -> Journal:
    limits = {"max_bytes": settings.log_max_bytes, "keep": settings.log_keep, "days": settings.log_days}
    journal = Journal(path_of(settings.log_dir, settings.port), os.urandom(INSTANCE_BYTES).hex(), **limits)
    with state.writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        journal.path.open("ab").close()
    return journal


def _claim(settings: Settings, stack: contextlib.ExitStack) -> tuple[listener.Listener, state.Lock]:
    """Lock, then bind: our own instances are recognised before the port is touched. Port 0 has no lock until bound."""
    lock = state.claim(settings.state_dir, settings.port) if settings.port else None
    if lock:
        stack.callback(lock.release)
    bound = listener.bind(settings.host, settings.port)
    stack.callback(bound.close)
    if lock is None:
        lock = state.claim(settings.state_dir, bound.port)
        stack.callback(lock.release)
    return bound, lock


@contextlib.contextmanager
def _checkups(post: Callable[[Checkup], None]) -> Iterator[None]:
    """Post one event in a while, from a thread, until the end of the block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(CHECKUP_S):
            post(Checkup())

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


class _Instance(Reports):
    """What is known of this instance, and where it is made known: journal, state file, ready line."""

    def __init__(
        self,
        settings: Settings,
        bound: listener.Listener,
        lock: state.Lock,
        journal: Journal,
        announce: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.bound = bound
        self.lock = lock
        self.journal = journal
        self.announce = announce
        self.announced = False
        self.state_path = state.paths(settings.state_dir, bound.port)[1]
        self.end_path = state.end_path(settings.state_dir, bound.port)
        self.now = _Now()
        self.identity = Identity(instance=journal.instance, supervisor_pid=os.getpid(), started_at=time.time())

    def live(self, events: queue.SimpleQueue[Event], tell: Callable[[str], None], command: Sequence[str]) -> Exit:
        """Run the loop to its end, whatever that is."""
        environ = {**os.environ, **self.settings.environ()}
        around = Surroundings(
            settings=self.settings,
            listener=self.bound,
            journal=self.journal,
            spawn=lambda: Child(command, environ, self.bound.sockets, events.put),
            publish=self.publish,
            tell=tell,
            identity=self.identity,
            reports=self,
        )
        self.journal.write(
            "started",
            supervisor_pid=os.getpid(),
            port=self.bound.port,
            hosts=self.bound.hosts,
            version=lumen_proxy.__version__,
            gateway_url=self.settings.gateway_url,
            cloud_ai_url=without_query(self.settings.cloud_ai_url),  # what follows may be a secret
            sandbox=self.settings.sandboxed,
        )
        status = Exit.SOFTWARE
        try:
            status = Loop(around, events).run()
        except Fatal as verdict:
            status = verdict.exit_status
            self.end("failed", str(verdict))
            raise
        except Exception as error:
            self.end("failed", f"internal error: {error!a}")
            raise
        finally:
            self.bound.close()
            self.forget()
            self.journal.write("stopped", exit_status=status)
        return status

    def publish(self, generation: int) -> None:
        """Write the state file; with the first generation that serves, print the ready line."""
        self.now.generation = generation
        self._write()
        if generation and not self.announced:  # 1, unless a worker died between its promotion and its readiness
            self.announced = True
            with contextlib.suppress(OSError):
                self.end_path.unlink(missing_ok=True)
            restart_record.forget(self.settings.state_dir, self.bound.port, unless_of=self.journal.instance)
            who = f"(pid {os.getpid()}, instance {self.journal.instance})"
            self.announce(f"ready on {self.bound.url} {who}")

    def phase(self, phase: str) -> None:
        """Write the state file, unless `publish` follows anyway."""
        self.now.phase = phase
        if phase != "serving":
            self._write()

    def failure(self, what: str) -> None:
        """Keep it for the state file; another phase follows."""
        self.now.last_failure = _event(what)

    def end(self, kind: str, what: str) -> None:
        """Keep the reason beyond the end of this process."""
        ended = {**_event(what), "kind": kind}
        with contextlib.suppress(OSError, ValueError):  # the exit status and the journal tell it, too
            state.write(self.end_path, replace(self._state(), ended=ended))

    def restore(self) -> None:
        """Restore what was deleted, and let cleaners of old files see that these are in use."""
        self.lock.restore()
        self._write()

    def forget(self) -> None:
        """Remove the state file."""
        with contextlib.suppress(OSError):
            self.state_path.unlink()

    def _write(self) -> None:
        """Write the state file. A failure must not end a proxy that serves: the lock counts without it."""
        self.lock.restore()
        with contextlib.suppress(OSError, ValueError):  # a full disk; a text that cannot be encoded
            state.write(self.state_path, self._state())

    @cached_property
    def _constant(self) -> dict[str, Any]:
        """What stays as it is for the life of the instance. The first worker boots meanwhile."""
        settings = self.settings
        return {
            "instance": self.journal.instance,
            "pid": os.getpid(),
            "start_time": process_identity.start_time(os.getpid()) or 0.0,
            "start_stamp": process_identity.start_stamp(os.getpid()),
            "host": settings.host,
            "hosts": self.bound.hosts,
            "port": self.bound.port,
            "url": self.bound.url,
            "drain_s": settings.drain_s,
            "gateway_url": settings.gateway_url,
            "cloud_ai_url": without_query(settings.cloud_ai_url),  # what follows may be a secret
            "sandbox": settings.sandboxed,
            "version": lumen_proxy.__version__,
            "log": str(self.journal.path),
            "settings": recorded_settings.record(settings),
        }

    def _state(self) -> state.State:
        changing = {**vars(self.now), "restarts": max(self.now.generation - 1, 0)}
        return state.State(**self._constant, **changing)


@dataclass
class _Now:
    """The part of the state that changes; the names are those of `state.State`."""

    generation: int = 0
    phase: str = "booting"
    last_failure: dict[str, str] | None = None


def _event(what: str) -> dict[str, str]:
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "what": what}
