"""A worker from its promotion to its end: wait, serve on the sockets of the supervisor, drain.

A standby takes over from a worker that has ended, while clients wait. So all that needs no socket is done before the
promotion: application, threads, log.
"""

from __future__ import annotations

import base64
import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lumen_proxy.errors import Exit
from lumen_proxy.ipc import Beat, Drain, Drained, Imported, Ready, Serve
from lumen_proxy.logs.worker_log import LogHandler, WorkerLog
from lumen_proxy.worker.app import Proxy
from lumen_proxy.worker.http.server import HttpServer
from lumen_proxy.worker.limits import server_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.ipc import SupervisorPipes


def _listener(listener: Mapping[str, Any]) -> socket.socket:
    """The socket that `platform.share_socket` described."""
    if "share" in listener:
        return socket.fromshare(base64.b64decode(listener["share"]))  # type: ignore[attr-defined,no-any-return,unused-ignore]
    sock = socket.socket(fileno=listener["fd"])
    sock.set_inheritable(False)
    return sock


def _open_log(settings: Settings) -> WorkerLog:
    log = WorkerLog(
        settings.log_dir / f"worker-{settings.port}.jsonl",
        max_bytes=settings.log_max_bytes,
        keep=settings.log_keep,
        days=settings.log_days,
        level=settings.log_level,
    )
    import logging  # noqa: PLC0415 - loaded by waitress anyway

    logging.getLogger().addHandler(LogHandler(log))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    threading.Thread(target=log.keep_flushing, name="log", daemon=True).start()
    return log


class Worker:
    """One worker process."""

    def __init__(self, settings: Settings, supervisor: SupervisorPipes) -> None:
        self._supervisor = supervisor
        limits = server_limits(settings)
        self._proxy = Proxy(settings)
        self._proxy.warm_up()
        self._proxy.log = _open_log(settings)
        hooks = self._proxy.hooks()
        if supervisor.never_blocks:
            hooks = replace(hooks, on_beat=lambda: supervisor.send(Beat()))
        self._server = HttpServer(self._proxy.wsgi, (), limits, hooks)

    def run(self) -> int:
        """Wait for the promotion, serve, drain; return the exit status."""
        self._supervisor.send(Imported(os.getpid()))
        command = self._supervisor.receive()
        if not isinstance(command, Serve):
            return Exit.OK  # a standby that is not needed
        self._proxy.identity = command
        self._server.listen([_listener(listener) for listener in command.listeners])
        threading.Thread(target=self._follow_commands, name="supervisor", daemon=True).start()
        self._supervisor.send(Ready())
        cut = self._server.run()
        if self._proxy.log:
            self._proxy.log.flush()
        self._supervisor.send(Drained(cut))
        return Exit.SOFTWARE if cut else Exit.OK

    def _follow_commands(self) -> None:
        while True:  # `receive` ends the process when the supervisor has ended
            command = self._supervisor.receive()
            if isinstance(command, Drain):
                self._proxy.is_draining = not command.handed_over
                self._server.drain(command.within_s, is_handed_over=command.handed_over)
