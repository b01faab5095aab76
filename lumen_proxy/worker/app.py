"""The routes, and the one place where an error becomes a response."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.test import create_environ

from lumen_proxy import __version__
from lumen_proxy.errors import ApiError
from lumen_proxy.ipc import Identity
from lumen_proxy.wire import endpoints, openai
from lumen_proxy.wire.allowed_hosts import is_loopback
from lumen_proxy.wire.api_errors import api_error
from lumen_proxy.worker.access import AccessRules
from lumen_proxy.worker.call import CallRegistry
from lumen_proxy.worker.chat import MS, Chat, RequestRecord
from lumen_proxy.worker.http.server import Hooks
from lumen_proxy.worker.metrics import Metrics
from lumen_proxy.worker.upstream.gateway import GatewayClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.ctx import RequestContext

    from lumen_proxy.config import Settings
    from lumen_proxy.logs.worker_log import WorkerLog
    from lumen_proxy.worker.http.connection import Refusal

JSON = "application/json; charset=utf-8"  # with a charset, since PowerShell 5.1 assumes Latin-1
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}  # RFC 9110, 9.1; RFC 5789
OK = 200
PROBE_ROUTES = {"/health", "/ready", "/metrics"}
STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx and similar proxies would collect the pieces
}


class _Application(Flask):
    def request_context(self, environ: dict[str, Any]) -> RequestContext:
        environ["PATH_INFO"] = endpoints.normalize(environ["PATH_INFO"])  # before the routes and the key are checked
        return super().request_context(environ)


class Proxy:
    """The application and its state; `wsgi` is what a server serves."""

    def __init__(self, settings: Settings) -> None:
        self.identity = Identity()
        self.is_draining = False
        self.log: WorkerLog | None = None
        self._https_warned = False  # one warning is enough, since clients try again
        self.calls = CallRegistry()
        self.metrics = Metrics(self._gauges())
        self.gateway = GatewayClient(settings, self.metrics.count)
        self.access = AccessRules(settings)
        self._chat = Chat(settings, self.gateway, self.calls, self._bug)
        self.wsgi = self._flask()

    def hooks(self) -> Hooks:
        """The functions that the server calls, without `on_beat`."""
        return Hooks(
            on_tick=self.calls.end_expired,
            on_cut=self.calls.end_all,
            on_refusal=self.account_refusal,
            cors_headers=self.access.origins.headers,
        )

    def warm_up(self) -> None:
        """Answer a request that no client sent: Flask does with the first one what takes four times as long.

        It is neither logged nor counted, since its response is never closed.
        """
        self.wsgi(create_environ("/health"), lambda *_: lambda _: None)

    def _flask(self) -> Flask:
        app = _Application(__name__, static_folder=None)
        app.url_map.merge_slashes = False  # a redirect would turn POST into GET
        routes: dict[str, tuple[str, Callable[..., Any]]] = {
            "/": ("GET", self.about),
            "/health": ("GET", self.health),
            "/ready": ("GET", self.ready),
            "/metrics": ("GET", self.metrics_page),
        }
        for prefix in ("/v1", ""):
            routes[f"{prefix}/models"] = ("GET", lambda: _json(openai.models()))
            routes[f"{prefix}/models/<path:name>"] = ("GET", lambda name: _json(openai.model(name)))
            routes[f"{prefix}/chat/completions"] = ("POST", self.chat)
        for rule, (method, view) in routes.items():
            app.add_url_rule(rule, rule, view, methods=[method], provide_automatic_options=False)
        app.before_request(self._begin)
        app.after_request(self._end)
        app.register_error_handler(Exception, self._error_response)
        return app

    def about(self) -> Response:
        """Describe the service."""
        fields = {
            "service": "lumen-proxy",
            "version": __version__,
            "what": "OpenAI-compatible proxy in front of the Lumen Gateway",
            "endpoints": endpoints.ENDPOINTS,
            "docs": "QUICKSTART.md, or: lumen-proxy --help",
        }
        return _json(fields)

    def health(self) -> Response:
        """Liveness: always 200, without a gateway call. PIDs and instance are for clients on this machine only."""
        identity = self.identity
        fields = {
            "status": "ok",
            "service": "lumen-proxy",
            "version": __version__,
            "generation": identity.generation,
            "restarts": identity.restarts,
            "uptime_s": round(max(time.time() - identity.started_at, 0), 3),
        }
        if is_loopback(request.remote_addr or ""):
            fields |= {"instance": identity.instance, "pid": os.getpid(), "supervisor_pid": identity.supervisor_pid}
        return _json(fields)

    def ready(self) -> Response:
        """Readiness: 200 if a chat request would be accepted now."""
        self._check_draining()
        self.gateway.check()
        return _json({"status": "ready"})

    def metrics_page(self) -> Response:
        """Metrics for Prometheus."""
        page, content_type = self.metrics.page()
        return Response(page, content_type=content_type)

    def chat(self) -> Response:
        """A chat completion."""
        self._check_draining()
        is_disconnected = request.environ.get("waitress.client_disconnected", lambda: False)
        answer = self._chat.answer(request.get_data(cache=False), g.record, is_disconnected)
        if isinstance(answer, str):
            return Response(answer + "\n", content_type=JSON)
        response = Response(answer.events, headers=STREAM_HEADERS)
        response.call_on_close(answer.release)
        return response

    def _check_draining(self) -> None:
        if self.is_draining:
            raise api_error("shutting_down")

    def _begin(self) -> Response | None:
        g.record = RequestRecord(openai.request_id(request.headers.get("X-Request-Id")))
        return self.access.check()

    def _end(self, response: Response) -> Response:
        record: RequestRecord = g.record
        self.access.add_headers(response)
        response.headers["x-request-id"] = record.request_id
        response.headers["openai-processing-ms"] = str(round(record.elapsed_s() * MS))
        rule = request.url_rule.rule.removeprefix("/v1") if request.url_rule else "none"
        fields = _log_fields(record, request.method, rule, response.status_code)
        response.call_on_close(lambda: self._account(record, fields))
        return response

    def account_refusal(self, refusal: Refusal) -> None:
        """Log and count a request that the server refused itself."""
        record = RequestRecord(refusal.request_id, refusal.began, {"code": refusal.error.code})
        self._account(record, _log_fields(record, refusal.method, "none", refusal.error.status))
        if refusal.error.code == "https_not_supported" and self.log and not self._https_warned:
            self._https_warned = True
            self.log.write("warning", "https_not_supported", hint=refusal.error.message)

    def _account(self, record: RequestRecord, fields: dict[str, Any]) -> None:
        """Log and count a request whose response is sent, or whose client has disconnected."""
        seconds = record.elapsed_s()
        self.metrics.count("requests", fields["route"], str(fields["status"]))
        self.metrics.time("request", seconds, fields["route"])
        more = record.fields
        if "gateway_s" in more:
            self.metrics.time("gateway", float(more["gateway_s"] or 0), str(more["channel"]))
            self.metrics.time("overhead", float(more["overhead_s"] or 0))
        if "prompt_tokens" in more:
            self.metrics.count("tokens", "prompt", by=int(more["prompt_tokens"] or 0))
            self.metrics.count("tokens", "completion", by=int(more["completion_tokens"] or 0))
        if more.get("code"):
            self.metrics.count("rejections", str(more["code"]))
        if self.log:
            self.log.write(_level(fields), "request", **fields, seconds=round(seconds, 6), **more)

    def _error_response(self, error: Exception) -> Response:
        failure = self._api_error(error)
        g.record.fields["code"] = failure.code
        response = _json(failure.body(), failure.status)
        response.headers.update(failure.headers)
        return response

    def _api_error(self, error: Exception) -> ApiError:
        if isinstance(error, ApiError):
            return error
        if isinstance(error, HTTPException) and error.code and error.code < 500:  # noqa: PLR2004
            return _routing_error(error)
        return self._bug(error, g.record)

    def _bug(self, error: Exception, record: RequestRecord) -> ApiError:
        """Log the type and the line of the error, but not its message, which may quote a user."""
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else None
        if self.log:
            self.log.write(
                "error", "internal_error", request_id=record.request_id, error=type(error).__name__, where=where
            )
        return api_error("internal_error")

    def _gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        return {
            "in_flight": ("Chat calls in progress.", lambda: len(self.calls.active())),
            "queued": ("Chat calls that wait for a free slot.", lambda: self.gateway.limit.queued),
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


def _level(fields: dict[str, Any]) -> str:
    """`debug` for a probe with 200: `watch` sends some 50,000 a day."""
    return "debug" if fields["route"] in PROBE_ROUTES and fields["status"] == OK else "info"


def _log_fields(record: RequestRecord, method: str, route: str, status: int) -> dict[str, Any]:
    """The fields that each request has in the log. An unknown method is text of the client, so it is not logged."""
    known = method if method in METHODS else "other"
    return {"request_id": record.request_id, "method": known, "route": route, "status": status}


def _routing_error(error: HTTPException) -> ApiError:
    """404, 405, or another error that Werkzeug finds in a request."""
    target = request.method, request.path, request.headers.get("Host", "")
    if isinstance(error, NotFound):
        return api_error("not_found", endpoints.not_found(*target))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return api_error("method_not_supported", endpoints.not_allowed(*target, allowed), headers={"Allow": allowed})
    return api_error("invalid_http")


def _json(value: object, status: int = OK) -> Response:
    """The value as one line that ends, so that a shell prompt after curl starts a new line."""
    return Response(json.dumps(value, ensure_ascii=False) + "\n", status, content_type=JSON)
