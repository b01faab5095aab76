"""An embedded Lumen Gateway and Cloud AI, so that everything can be tried without a network.

They run on threads of their own in the supervisor's process, on free loopback ports, and say what the
real ones say (see the channels' wire formats): a Korean answer that repeats the question.
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
NOTICE_STOP_S = 0.1  # how long the end of a sandboxed proxy waits for its two servers
IDLE_S = 120.0  # a kept connection that nobody uses frees its thread


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")  # the field writes no zone


class _Channel(BaseHTTPRequestHandler):
    """Reads JSON, writes JSON, keeps the connection."""

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
        asked = json_object(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        message = asked.get("message")
        if self.path != "/chat":
            self.answer(404, {"detail": "Not Found"})
        elif not isinstance(message, str) or not message:
            self.answer(422, {"detail": "message: a string of at least one character"})
        else:
            self.answer(200, self.reply(message, asked))

    def pages(self) -> dict[str, dict[str, Any]]:
        raise NotImplementedError

    def reply(self, message: str, asked: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: users' words would follow."""


class _Gateway(_Channel):
    def pages(self) -> dict[str, dict[str, Any]]:
        health = {"status": "healthy", "service": "lumen-gateway-sandbox", "version": "1.0.0", "google_ai": False}
        personas = {"available_personas": PERSONAS, "current_default": DEFAULT_PERSONA, "auto_detection": True}
        return {
            "/health": {**health, "timestamp": _now()},
            "/personas": {**personas, "count": len(PERSONAS)},
            "/status": {"sandbox": True, "timestamp": _now()},
        }

    def reply(self, message: str, asked: dict[str, Any]) -> dict[str, Any]:
        key = asked.get("persona") or asked.get("persona_key")
        key = key if key in PERSONAS else DEFAULT_PERSONA
        words = f"저는 {PERSONAS[key]['name']}입니다. 이렇게 물으셨지요: {message} (연습용 답변입니다.)"
        persona = {"key": key, **PERSONAS[key]}
        return {"success": True, "persona": persona, "response": words, "sources": ["sandbox"], "timestamp": _now()}


class _CloudAI(_Channel):
    def pages(self) -> dict[str, dict[str, Any]]:
        return {"/health": {"status": "healthy", "version": "1.0.0", "pipeline_ready": True}}

    def reply(self, message: str, asked: dict[str, Any]) -> dict[str, Any]:
        del asked
        words = f"내다AI입니다. 이렇게 물으셨지요: {message} (연습용 답변입니다.)"
        return {"response": words, "model": "sandbox", "timestamp": _now()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A killed worker leaves broken connections behind; that is the exercise, not an error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def instead_of_the_cloud(settings: Settings) -> Iterator[Settings]:
    """Run both for the length of the block; yield the settings with their addresses in place."""
    with _Server(("127.0.0.1", 0), _Gateway) as gateway, _Server(("127.0.0.1", 0), _CloudAI) as cloud_ai:
        for server in (gateway, cloud_ai):
            threading.Thread(target=server.serve_forever, args=(NOTICE_STOP_S,), daemon=True).start()
        yield settings.with_embedded(gateway.url, f"{cloud_ai.url}/chat")
        for server in (gateway, cloud_ai):
            server.shutdown()
