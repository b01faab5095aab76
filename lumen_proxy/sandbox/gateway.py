"""Sandbox mode: an embedded gateway and Cloud AI, so that the proxy can be tried without a network.

They run in threads of the supervisor's process, on free loopback ports, and respond in the format of the real channels:
a Korean answer that repeats the question.
"""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.text import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lumen_proxy.config import Settings

PERSONAS = {
    "moon": {"name": "루아", "emoji": "🌙", "type": "intuition"},
    "square": {"name": "엘로", "emoji": "🔲", "type": "structure"},
    "earth": {"name": "누리", "emoji": "🌍", "type": "overview"},
    "pen": {"name": "세나", "emoji": "✒️", "type": "bridge"},
}
DEFAULT_PERSONA = "pen"
NOTICE_STOP_S = 0.1  # how soon the two servers notice that they must stop
IDLE_S = 120.0  # an idle connection releases its thread


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")  # the real gateway sends no time zone


class _Channel(BaseHTTPRequestHandler):
    """Reads JSON and writes JSON over connections that stay open."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        pages = self.pages()
        if self.path in pages:
            self.answer(200, pages[self.path])
        elif self.path == "/chat":
            self.answer(405, {"detail": "Method Not Allowed"})
        else:
            self.answer(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        request = json_object(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        message = request.get("message")
        if self.path != "/chat":
            self.answer(404, {"detail": "Not Found"})
        elif not isinstance(message, str) or not message:
            self.answer(422, {"detail": "message: a string of at least one character"})
        else:
            self.answer(200, self.reply(message, request))

    def pages(self) -> dict[str, dict[str, Any]]:
        raise NotImplementedError

    def reply(self, message: str, request: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a request line may contain text of a user."""


class _Gateway(_Channel):
    def pages(self) -> dict[str, dict[str, Any]]:
        health = {"status": "healthy", "service": "lumen-gateway-sandbox", "version": "1.0.0", "google_ai": False}
        personas = {"available_personas": PERSONAS, "current_default": DEFAULT_PERSONA, "auto_detection": True}
        return {
            "/health": {**health, "timestamp": _now()},
            "/personas": {**personas, "count": len(PERSONAS)},
            "/status": {"sandbox": True, "timestamp": _now()},
        }

    def reply(self, message: str, request: dict[str, Any]) -> dict[str, Any]:
        key = request.get("persona") or request.get("persona_key")
        key = key if key in PERSONAS else DEFAULT_PERSONA
        text = f"저는 {PERSONAS[key]['name']}입니다. 이렇게 물으셨지요: {message} (연습용 답변입니다.)"
        persona = {"key": key, **PERSONAS[key]}
        return {"success": True, "persona": persona, "response": text, "sources": ["sandbox"], "timestamp": _now()}


class _CloudAI(_Channel):
    def pages(self) -> dict[str, dict[str, Any]]:
        return {"/health": {"status": "healthy", "version": "1.0.0", "pipeline_ready": True}}

    def reply(self, message: str, request: dict[str, Any]) -> dict[str, Any]:
        del request
        text = f"내다AI입니다. 이렇게 물으셨지요: {message} (연습용 답변입니다.)"
        return {"response": text, "model": "sandbox", "timestamp": _now()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Ignore the errors of connections that a killed worker leaves behind."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def embedded_channels(settings: Settings) -> Iterator[Settings]:
    """Run both servers during the block; yield the settings with their addresses."""
    with _Server(("127.0.0.1", 0), _Gateway) as gateway, _Server(("127.0.0.1", 0), _CloudAI) as cloud_ai:
        for server in (gateway, cloud_ai):
            threading.Thread(target=server.serve_forever, args=(NOTICE_STOP_S,), daemon=True).start()
        yield settings.with_embedded(gateway.url, f"{cloud_ai.url}/chat")
        for server in (gateway, cloud_ai):
            server.shutdown()
