"""Runs one instance: takes the lock and the port, runs the supervisor's loop, removes its files at the end."""

from __future__ import annotations

import contextlib
import os
import queue
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lumen_proxy
from lumen_proxy import platform
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.logs import retention
from lumen_proxy.logs.journal import Journal, path_of
from lumen_proxy.logs.rotation import RotatedFile
from lumen_proxy.masking import without_query
from lumen_proxy.supervisor import event_sources, instance_lock, listener, predecessor, state
from lumen_proxy.supervisor.context import SupervisorContext
from lumen_proxy.supervisor.handover_socket import socket_path
from lumen_proxy.supervisor.instance import Instance
from lumen_proxy.supervisor.loop import Loop
from lumen_proxy.supervisor.offer import Offer
from lumen_proxy.supervisor.spawn import WORKER, WorkerProcess
from lumen_proxy.wire import allowed_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.event_queue import Event
    from lumen_proxy.supervisor.predecessor import Predecessor

INSTANCE_BYTES = 8  # 64 random bits: no two instances will ever share an id


def serve(  # noqa: PLR0913 - by name only, and most of them for tests
    settings: Settings,
    *,
    announce: Callable[[str], None],
    notify: Callable[[str], None],
    on_journal_event: Callable[[Mapping[str, Any]], object] | None = None,
    command: Sequence[str] = WORKER,
    restart_lock: int | None = None,
) -> Exit:
    """Keep a worker on the port until a stop signal; return the exit status. Main thread only.

    `announce` prints the ready line, `notify` prints lines for people, `on_journal_event` receives each event of the
    journal, `command` starts a worker (see `lumen_proxy.ipc`). `restart_lock`: the instance on the port
    hands it over, see `offer`; this descriptor is closed when this instance serves. Raises Fatal if the proxy cannot
    start.
    """
    listener.refuse_unsafe(settings.host, has_key=settings.api_key is not None)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        stack.enter_context(event_sources.stop_signals(events.put))
        name = os.urandom(INSTANCE_BYTES).hex()
        old = None
        if restart_lock is not None:
            old = predecessor.take(settings.state_dir, settings.port, name, restart_lock)
        bound, lock = _adopt(old, stack, events) if old else _claim(settings, stack)
        settings = replace(settings, port=bound.port)
        journal = _open_journal(settings, name, on_journal_event)
        retention.remove_old_logs(settings.log_dir, settings.log_days)
        if bound.note:
            notify(bound.note)
        previous = None if old else state.read_left(settings.state_dir, settings.port)
        if previous:
            notify(f"{_describe(previous)} ended without a stop: it was killed, or the machine went down")
        platform.kill_children_with_this_process()
        platform.on_stop_request(journal.instance, events.put)

        def announce_ready(line: str) -> None:
            announce(line)
            notify(allowed_hosts.summary(settings.host, settings.allowed_hosts, settings.allowed_origins))

        instance = Instance(settings, bound, lock, journal, announce_ready)
        offer = Offer(socket_path(settings.state_dir, bound.port), bound, lock, name, events.put)
        stack.callback(offer.close)
        if old is None:
            offer.open()
        stack.enter_context(event_sources.checkups(events.put))
        environ = {**os.environ, **settings.environ()}
        context = SupervisorContext(
            settings=settings,
            listener=bound,
            journal=journal,
            spawn=lambda: WorkerProcess(command, environ, bound.sockets, events.put, notify),
            notify=notify,
            identity=instance.identity,
            observer=instance,
            offer=offer,
            predecessor=old,
        )
        return _run(Loop(context, events), instance, previous.instance if previous else None)


def _describe(previous: state.InstanceState) -> str:
    return f"the last lumen-proxy on port {previous.port} (pid {previous.pid}, instance {previous.instance})"


def _open_journal(settings: Settings, instance: str, on_event: Callable[[Mapping[str, Any]], object] | None) -> Journal:
    path = path_of(settings.log_dir, settings.port)
    file = RotatedFile(path, max_bytes=settings.log_max_bytes, keep=settings.log_keep, days=settings.log_days)
    journal = Journal(file, instance, on_event)
    with state.require_writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        journal.path.open("ab").close()
    return journal


def _claim(settings: Settings, stack: contextlib.ExitStack) -> tuple[listener.Listener, instance_lock.FileLock]:
    """Lock first, then bind, so that an instance on the port is recognized as one. For port 0, bind first."""
    lock = instance_lock.claim(settings.state_dir, settings.port) if settings.port else None
    if lock:
        stack.callback(lock.release)
    bound = listener.bind(settings.host, settings.port)
    stack.callback(bound.close)
    if lock is None:
        lock = instance_lock.claim(settings.state_dir, bound.port)
        stack.callback(lock.release)
    return bound, lock


def _adopt(
    old: Predecessor, stack: contextlib.ExitStack, events: queue.SimpleQueue[Event]
) -> tuple[listener.Listener, instance_lock.FileLock]:
    """Use the lock and the sockets of another instance, which owns them until the loop takes the port over."""
    stack.callback(old.lock.release)
    stack.callback(old.listener.close)
    old.watch(events.put)
    return old.listener, old.lock


def _run(loop: Loop, instance: Instance, unclean_end_of: str | None) -> Exit:
    """Run the loop to its end; write the beginning and the end into the journal.

    `unclean_end_of` is the instance that ran before and ended without a stop.
    """
    settings, bound, journal = loop.context.settings, loop.context.listener, loop.context.journal
    journal.write(
        "started",
        supervisor_pid=os.getpid(),
        port=bound.port,
        hosts=bound.hosts,
        version=lumen_proxy.__version__,
        gateway_url=settings.gateway_url,
        cloud_ai_url=without_query(settings.cloud_ai_url),  # the query may be a secret
        sandbox=settings.sandboxed,
        unclean_end_of=unclean_end_of,
    )
    status = Exit.SOFTWARE
    try:
        status = loop.run()
    except Fatal as error:
        status = error.exit_status
        instance.record_end("failed", str(error))
        raise
    except Exception as error:
        instance.record_end("failed", f"internal error: {error!a}")
        raise
    finally:
        bound.close()
        instance.remove_state_file()
        journal.write("stopped", exit_status=status)
    return status
