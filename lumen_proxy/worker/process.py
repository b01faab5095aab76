"""The life of a worker: it stands by, serves on the sockets it is given, drains when it is told."""

from __future__ import annotations

import base64
import os
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from lumen_proxy.errors import Exit
from lumen_proxy.logs.worker_log import Bridge, Log
from lumen_proxy.worker.app import Identity, Proxy
from lumen_proxy.worker.http.server import Hooks, Server
from lumen_proxy.worker.limits import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.ipc import Leash

BEAT_S = 1.0  # a tenth of the watchdog's default


def _listener(handed: Mapping[str, Any]) -> socket.socket:
    if "share" in handed:
        return socket.fromshare(base64.b64decode(handed["share"]))  # type: ignore[attr-defined,no-any-return,unused-ignore]
    sock = socket.socket(fileno=handed["fd"])
    sock.set_inheritable(False)
    return sock


def _open_log(settings: Settings, port: int) -> Log:
    path = settings.log_dir / f"worker-{port}.jsonl"
    log = Log(
        path,
        max_bytes=settings.log_max_bytes,
        keep=settings.log_keep,
        days=settings.log_days,
        level=settings.log_level,
    )
    import logging  # noqa: PLC0415 - loaded by waitress anyway

    logging.getLogger().addHandler(Bridge(log))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    threading.Thread(target=log.keep_flushing, name="log", daemon=True).start()
    return log


class Worker:
    """From promotion to the end."""

    def __init__(self, settings: Settings, leash: Leash) -> None:
        self._settings = settings
        self._leash = leash
        self._limits = limits(settings)
        self._proxy = Proxy(settings)
        self._next_beat = 0.0

    def run(self) -> int:
        """Stand by, serve, drain; return the exit status."""
        self._leash.tell("imported", pid=os.getpid())
        order = self._leash.hear()
        if order.get("cmd") != "serve":
            return Exit.OK  # a standby that is not needed
        server = self._server(order)
        threading.Thread(target=self._obey, args=(server,), name="leash", daemon=True).start()
        self._leash.tell("ready")
        cut = server.run()
        if self._proxy.log:
            self._proxy.log.flush()
        self._leash.tell("drained", cut=cut)
        return Exit.SOFTWARE if cut else Exit.OK

    def _server(self, order: Mapping[str, Any]) -> Server:
        names = ("instance", "generation", "restarts", "supervisor_pid", "started_at")
        self._proxy.identity = Identity(**{name: order[name] for name in names})
        sockets = [_listener(handed) for handed in order["listeners"]]
        self._proxy.log = _open_log(self._settings, sockets[0].getsockname()[1])
        hooks = Hooks(self._tick, self._proxy.watch.end_all, self._proxy.refused, self._proxy.guard.origins.headers)
        return Server(self._proxy.wsgi, sockets, self._limits, hooks)

    def _tick(self) -> None:
        self._proxy.watch.look()
        if monotonic() >= self._next_beat:
            self._next_beat = monotonic() + BEAT_S
            self._leash.tell("beat")

    def _obey(self, server: Server) -> None:
        while True:
            command = self._leash.hear()
            if command.get("cmd") == "drain":
                self._proxy.draining = True
                server.drain(float(command["within_s"]), accept=command.get("accept", True))
