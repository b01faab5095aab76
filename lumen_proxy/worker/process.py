"""A worker from its promotion to its end: wait, serve on the sockets of the supervisor, drain."""

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


def _open_log(settings: Settings, port: int) -> WorkerLog:
    path = settings.log_dir / f"worker-{port}.jsonl"
    log = WorkerLog(
        path,
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
        self._settings = settings
        self._supervisor = supervisor
        self._limits = server_limits(settings)
        self._proxy = Proxy(settings)

    def run(self) -> int:
        """Wait for the promotion, serve, drain; return the exit status."""
        self._supervisor.send(Imported(os.getpid()))
        command = self._supervisor.receive()
        if not isinstance(command, Serve):
            return Exit.OK  # a standby that is not needed
        server = self._server(command)
        threading.Thread(target=self._follow_commands, args=(server,), name="supervisor", daemon=True).start()
        self._supervisor.send(Ready())
        cut = server.run()
        if self._proxy.log:
            self._proxy.log.flush()
        self._supervisor.send(Drained(cut))
        return Exit.SOFTWARE if cut else Exit.OK

    def _server(self, command: Serve) -> HttpServer:
        self._proxy.identity = command
        sockets = [_listener(listener) for listener in command.listeners]
        self._proxy.log = _open_log(self._settings, sockets[0].getsockname()[1])
        hooks = self._proxy.hooks()
        if self._supervisor.never_blocks:
            hooks = replace(hooks, on_beat=lambda: self._supervisor.send(Beat()))
        return HttpServer(self._proxy.wsgi, sockets, self._limits, hooks)

    def _follow_commands(self, server: HttpServer) -> None:
        while True:  # `receive` ends the process when the supervisor has ended
            command = self._supervisor.receive()
            if isinstance(command, Drain):
                self._proxy.is_draining = not command.handed_over
                server.drain(command.within_s, is_handed_over=command.handed_over)
