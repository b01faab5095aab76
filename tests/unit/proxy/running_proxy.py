"""The parts of a worker in this process: quick to start, with any settings."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_conformance.http import client
from lumen_proxy.config import load
from lumen_proxy.worker.app import Proxy
from lumen_proxy.worker.http.server import HttpServer
from lumen_proxy.worker.limits import server_limits

if TYPE_CHECKING:
    from lumen_conformance.http.capture import Capture

JOIN_S = 10.0  # far above the time of a drain without requests
USER = {"role": "user", "content": "안녕하세요"}


@dataclass(frozen=True)
class RunningProxy:
    """A running proxy."""

    url: str
    proxy: Proxy
    server: HttpServer

    def chat(
        self,
        text: str = "안녕하세요",
        *,
        timeout_s: float = 10.0,
        on_body: client.OnBody | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        **body: Any,  # noqa: ANN401 - any JSON
    ) -> Capture:
        """Request a completion."""
        messages = [{"role": "user", "content": text}]
        return client.call(
            self.url,
            "POST",
            "/v1/chat/completions",
            json={"messages": messages, **body},
            headers=headers,
            timeout_s=timeout_s,
            on_body=on_body,
        )

    def get(self, path: str, *headers: tuple[str, str]) -> Capture:
        """GET a path."""
        return client.call(self.url, "GET", path, headers=headers)


@contextmanager
def run_proxy(gateway_url: str, **environ: str) -> Iterator[RunningProxy]:
    """A proxy in front of this gateway, with settings as environment variables."""
    settings = load({"LUMEN_GATEWAY_URL": gateway_url, "LUMEN_DRAIN_S": "1", **environ})
    proxy = Proxy(settings)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        server = HttpServer(proxy.wsgi, [sock.dup()], server_limits(settings), proxy.hooks())
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield RunningProxy(f"http://127.0.0.1:{sock.getsockname()[1]}", proxy, server)
        finally:
            server.drain(settings.drain_s)
            thread.join(JOIN_S)
            server.close()
            proxy.gateway.close()


def error(capture: Capture) -> dict[str, Any]:
    """The error of a response."""
    assert capture.header("content-type") == "application/json; charset=utf-8"
    assert capture.header("x-request-id")
    value: dict[str, Any] = json.loads(capture.body)["error"]
    assert value.keys() == {"message", "type", "param", "code"}
    return value
