"""The routes, and the one place where an error becomes a response."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from lumen_proxy import __version__
from lumen_proxy.errors import ApiError
from lumen_proxy.wire import endpoints, openai
from lumen_proxy.wire.api_errors import problem
from lumen_proxy.wire.host_names import is_loopback
from lumen_proxy.worker.access import Guard
from lumen_proxy.worker.call import Watch
from lumen_proxy.worker.chat import MS, Chat, Record
from lumen_proxy.worker.metrics import Metrics
from lumen_proxy.worker.upstream.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.ctx import RequestContext

    from lumen_proxy.config import Settings
    from lumen_proxy.logs.worker_log import Log
    from lumen_proxy.worker.http.connection import Refusal

JSON = "application/json; charset=utf-8"  # said, because PowerShell 5.1 takes Latin-1 for granted
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}  # RFC 9110, 9.1; RFC 5789
OK = 200
PROBE_ROUTES = {"/health", "/ready", "/metrics"}
STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx and similar proxies would collect the pieces
}


@dataclass(frozen=True)
class Identity:
    """What the supervisor told this worker when it was promoted. `started_at` is in Unix seconds."""

    instance: str = ""
    generation: int = 0
    restarts: int = 0
    supervisor_pid: int | None = None
    started_at: float = 0.0


class _Application(Flask):
    def request_context(self, environ: dict[str, Any]) -> RequestContext:
        environ["PATH_INFO"] = endpoints.cleaned(environ["PATH_INFO"])  # before routes and key are looked at
        return super().request_context(environ)


class Proxy:
    """The application and its state; `wsgi` is what a server serves."""

    def __init__(self, settings: Settings) -> None:
        self.identity = Identity()
        self.draining = False
        self.log: Log | None = None
        self._told_of_https = False  # once is enough: clients try again and again
        self.watch = Watch()
        self.metrics = Metrics(self._gauges())
        self.gateway = Gateway(settings, self.metrics.count)
        self.guard = Guard(settings)
        self._chat = Chat(settings, self.gateway, self.watch, self._bug)
        self.wsgi = self._flask()

    def _flask(self) -> Flask:
        app = _Application(__name__, static_folder=None)
        app.url_map.merge_slashes = False  # a redirect would turn POST into GET
        routes: dict[str, tuple[str, Callable[..., Any]]] = {
            "/": ("GET", self.about),
            "/health": ("GET", self.health),
            "/ready": ("GET", self.ready),
            "/metrics": ("GET", self.scrape),
        }
        for prefix in ("/v1", ""):
            routes[f"{prefix}/models"] = ("GET", lambda: _json(openai.models()))
            routes[f"{prefix}/models/<path:name>"] = ("GET", lambda name: _json(openai.model(name)))
            routes[f"{prefix}/chat/completions"] = ("POST", self.chat)
        for rule, (method, view) in routes.items():
            app.add_url_rule(rule, rule, view, methods=[method], provide_automatic_options=False)
        app.before_request(self._begin)
        app.after_request(self._end)
        app.register_error_handler(Exception, self._failed)
        return app

    def about(self) -> Response:
        """What this is."""
        facts = {
            "service": "lumen-proxy",
            "version": __version__,
            "what": "OpenAI-compatible proxy in front of the Lumen Gateway",
            "endpoints": endpoints.ENDPOINTS,
            "docs": "QUICKSTART.md, or: lumen-proxy --help",
        }
        return _json(facts)

    def health(self) -> Response:
        """Liveness: always 200, no call to the gateway. PIDs and instance only for this machine."""
        identity = self.identity
        facts = {
            "status": "ok",
            "service": "lumen-proxy",
            "version": __version__,
            "generation": identity.generation,
            "restarts": identity.restarts,
            "uptime_s": round(max(time.time() - identity.started_at, 0), 3),
        }
        if is_loopback(request.remote_addr or ""):
            facts |= {"instance": identity.instance, "pid": os.getpid(), "supervisor_pid": identity.supervisor_pid}
        return _json(facts)

    def ready(self) -> Response:
        """Readiness: whether a chat request would be answered now."""
        if self.draining:
            raise problem("shutting_down")
        self.gateway.check()
        return _json({"status": "ready"})

    def scrape(self) -> Response:
        """Metrics for Prometheus."""
        page, content_type = self.metrics.page()
        return Response(page, content_type=content_type)

    def chat(self) -> Response:
        """A chat completion."""
        if self.draining:
            raise problem("shutting_down")
        gone = request.environ.get("waitress.client_disconnected", lambda: False)
        answer = self._chat.answer(request.get_data(cache=False), g.record, gone)
        if isinstance(answer, str):
            return Response(answer + "\n", content_type=JSON)
        return Response(answer, headers=STREAM_HEADERS)

    def _begin(self) -> Response | None:
        g.record = Record(openai.request_id(request.headers.get("X-Request-Id")))
        return self.guard.check()

    def _end(self, response: Response) -> Response:
        record: Record = g.record
        self.guard.sign(response)
        response.headers["x-request-id"] = record.request_id
        response.headers["openai-processing-ms"] = str(round(record.elapsed_s() * MS))
        rule = request.url_rule.rule.removeprefix("/v1") if request.url_rule else "none"
        facts = _facts(record, request.method, rule, response.status_code)
        if not response.is_streamed:
            self._chat.places.leave(record)  # it is written without waiting for its client
        response.call_on_close(lambda: self._account(record, facts))
        return response

    def refused(self, refusal: Refusal) -> None:
        """Account for a request that the server answered itself."""
        record = Record(refusal.request_id, refusal.began, {"code": refusal.error.code})
        self._account(record, _facts(record, refusal.method, "none", refusal.error.status))
        if refusal.error.code == "https_not_supported" and self.log and not self._told_of_https:
            self._told_of_https = True
            self.log.write("warning", "https_not_supported", hint=refusal.error.message)

    def _account(self, record: Record, facts: dict[str, Any]) -> None:
        """The response has been sent, or its client has gone."""
        self._chat.places.leave(record)
        seconds = record.elapsed_s()
        self.metrics.count("requests", facts["route"], str(facts["status"]))
        self.metrics.time("request", seconds, facts["route"])
        known = record.facts
        if "gateway_s" in known:
            self.metrics.time("gateway", float(known["gateway_s"] or 0), str(known["channel"]))
            self.metrics.time("overhead", float(known["overhead_s"] or 0))
        if "prompt_tokens" in known:
            self.metrics.count("tokens", "prompt", by=int(known["prompt_tokens"] or 0))
            self.metrics.count("tokens", "completion", by=int(known["completion_tokens"] or 0))
        if known.get("code"):
            self.metrics.count("rejections", str(known["code"]))
        if self.log:
            self.log.write(_level(facts), "request", **facts, seconds=round(seconds, 6), **known)

    def _failed(self, error: Exception) -> Response:
        """Every error of every route becomes a response here."""
        api_error = self._api_error(error)
        g.record.facts["code"] = api_error.code
        response = _json(api_error.body(), api_error.status)
        response.headers.update(api_error.headers)
        return response

    def _api_error(self, error: Exception) -> ApiError:
        if isinstance(error, ApiError):
            return error
        if isinstance(error, HTTPException) and error.code and error.code < 500:  # noqa: PLR2004
            return _routing_error(error)
        return self._bug(error, g.record)

    def _bug(self, error: Exception, record: Record) -> ApiError:
        """Log type and place, but not the message, which may quote a user."""
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else None
        if self.log:
            self.log.write(
                "error", "internal_error", request_id=record.request_id, error=type(error).__name__, where=where
            )
        return problem("internal_error")

    def _gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        return {
            "in_flight": ("Chat calls under way.", lambda: len(self.watch.calls())),
            "queued": ("Chat calls that wait for a free slot.", lambda: self.gateway.slots.queued),
            "breaker_open": (
                "1 = circuit breaker open: chat calls are refused for a while.",
                lambda: self.gateway.breaker.state == "open",
            ),
            "breaker_half_open": (
                "1 = circuit breaker half open: one call decides.",
                lambda: self.gateway.breaker.state == "half_open",
            ),
            "restarts": ("Unplanned restarts of the worker.", lambda: self.identity.restarts),
            "log_lost": ("Log lines that could not be written.", lambda: self.log.lost if self.log else 0),
        }


def _level(facts: dict[str, Any]) -> str:
    """A watch asks for the pages of probes some 50,000 times a day: an answer of 200 is for debug only."""
    return "debug" if facts["route"] in PROBE_ROUTES and facts["status"] == OK else "info"


def _facts(record: Record, method: str, route: str, status: int) -> dict[str, Any]:
    """What is logged of every request; a method that nobody knows is a word of the client."""
    known = method if method in METHODS else "other"
    return {"request_id": record.request_id, "method": known, "route": route, "status": status}


def _routing_error(error: HTTPException) -> ApiError:
    """404, 405, or what else Werkzeug finds wrong with a request."""
    asked = request.method, request.path, request.headers.get("Host", "")
    if isinstance(error, NotFound):
        return problem("not_found", endpoints.not_found(*asked))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return problem("method_not_supported", endpoints.not_allowed(*asked, allowed), headers={"Allow": allowed})
    return problem("invalid_http")


def _json(value: object, status: int = 200) -> Response:
    """One line that ends: a shell's prompt after curl begins a new one."""
    return Response(json.dumps(value, ensure_ascii=False) + "\n", status, content_type=JSON)
