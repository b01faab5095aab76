"""One instance from its first check to its last file: claims lock and port, runs the loop, tidies up."""

from __future__ import annotations

import contextlib
import os
import queue
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import lumen_proxy
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.journal import Journal, path_of
from lumen_proxy.supervisor import listener, oldlogs, platform, signals, state
from lumen_proxy.supervisor.alarm import Alarm
from lumen_proxy.supervisor.loop import Event, Loop, Surroundings
from lumen_proxy.supervisor.spawn import WORKER, Child
from lumen_proxy.wire import allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lumen_proxy.config import Settings

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
    the leash protocol. Raises Fatal where starting is refused.
    """
    listener.refuse_unsafe(settings.host, has_key=settings.api_key is not None)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals.watched(events.put))
        bound = _claim(settings, stack)
        settings = replace(settings, port=bound.port)
        journal = _journal(settings)
        oldlogs.drop(settings.log_dir, settings.log_days)
        if bound.note:
            tell(bound.note)
        journal.hear = Alarm(settings).hear
        platform.tie_children_to_this_process()
        platform.on_stop_request(journal.instance, events.put)

        def announce_ready(line: str) -> None:
            announce(line)
            tell(allowed.summary(settings.host, settings.allowed_hosts, settings.allowed_origins))

        instance = _Instance(settings, bound, journal, announce_ready)
        return instance.live(events, tell, command)


def _journal(settings: Settings) -> Journal:
    limits = {"max_bytes": settings.log_max_bytes, "keep": settings.log_keep, "days": settings.log_days}
    journal = Journal(path_of(settings.log_dir, settings.port), os.urandom(INSTANCE_BYTES).hex(), **limits)
    with state.writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        journal.path.open("ab").close()
    return journal


def _claim(settings: Settings, stack: contextlib.ExitStack) -> listener.Listener:
    """Lock, then bind: our own instances are recognised before the port is touched. Port 0 has no lock until bound."""
    if settings.port:
        stack.callback(state.claim(settings.state_dir, settings.port).release)
    bound = listener.bind(settings.host, settings.port)
    stack.callback(bound.close)
    if not settings.port:
        stack.callback(state.claim(settings.state_dir, bound.port).release)
    return bound


class _Instance:
    """What is known of this instance, and where it is made known: journal, state file, ready line."""

    def __init__(
        self, settings: Settings, bound: listener.Listener, journal: Journal, announce: Callable[[str], None]
    ) -> None:
        self.settings = settings
        self.bound = bound
        self.journal = journal
        self.announce = announce
        self.announced = False
        self.state_path = state.paths(settings.state_dir, bound.port)[1]
        self.facts: dict[str, object] = {
            "instance": journal.instance,
            "supervisor_pid": os.getpid(),
            "started_at": time.time(),
        }

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
            facts=self.facts,
        )
        self.journal.write(
            "started",
            supervisor_pid=os.getpid(),
            port=self.bound.port,
            hosts=self.bound.hosts,
            version=lumen_proxy.__version__,
            gateway_url=self.settings.gateway_url,
            cloud_ai_url=self.settings.cloud_ai_url.partition("?")[0],  # what follows may be a secret
            sandbox=self.settings.sandboxed,
        )
        status = Exit.SOFTWARE
        try:
            status = Loop(around, events).run()
        except Fatal as verdict:
            status = verdict.exit_status
            raise
        finally:
            self.bound.close()
            self.forget()
            self.journal.write("stopped", exit_status=status)
        return status

    def publish(self, generation: int) -> None:
        """Write the state file; with the first generation that serves, print the ready line."""
        with contextlib.suppress(OSError):  # a hint only: a full disk must not end a proxy that serves
            state.write(self.state_path, self._state(generation))
        if generation and not self.announced:  # 1, unless a worker died between its promotion and its readiness
            self.announced = True
            who = f"(pid {os.getpid()}, instance {self.journal.instance})"
            self.announce(f"ready on {self.bound.url} {who}")

    def forget(self) -> None:
        """Remove the state file."""
        with contextlib.suppress(OSError):
            self.state_path.unlink()

    def _state(self, generation: int) -> state.State:
        return state.State(
            instance=self.journal.instance,
            pid=os.getpid(),
            start_time=state.start_time(os.getpid()) or 0.0,
            host=self.settings.host,
            hosts=self.bound.hosts,
            port=self.bound.port,
            generation=generation,
            url=self.bound.url,
            drain_s=self.settings.drain_s,
            gateway_url=self.settings.gateway_url,
            cloud_ai_url=self.settings.cloud_ai_url.partition("?")[0],  # what follows may be a secret
            sandbox=self.settings.sandboxed,
        )
