"""Who may ask: Host, Origin, key, media type. Every rule of behaviour in front of the routes."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from flask import Response, request

from lumen_proxy.wire.address import host_name, is_loopback
from lumen_proxy.wire.problems import problem

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

OPEN_PATHS = {"/", "/health", "/ready"}  # need no key
HEADER_NAMES = re.compile(r"[A-Za-z0-9-]+(\s*,\s*[A-Za-z0-9-]+)*")
PREFLIGHT_AGE_S = "600"


class Guard:
    """Checks a request against the settings. All methods work on Flask's current request."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = {settings.host, *settings.allowed_hosts}
        self._origins = set(settings.allowed_origins)
        self._key = settings.api_key.encode() if settings.api_key else None

    def check(self) -> Response | None:
        """Answer a preflight, or let the request pass. Raises ApiError: 403, 401, 415."""
        self._check_host()
        self._check_origin()
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers and self._origin():
            return self._preflight()
        self._check_key()
        if request.method == "POST" and request.mimetype != "application/json":
            raise problem("unsupported_media_type")
        return None

    def sign(self, response: Response) -> None:
        """Add what a declared Origin needs to read the response."""
        if self._origins:
            response.vary.add("Origin")
        if self._origin() in self._origins:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = "x-request-id, openai-processing-ms, retry-after"

    def _check_host(self) -> None:
        name = host_name(request.headers.get("Host", ""))
        if name is None or not (is_loopback(name) or name in self._hosts):
            raise problem("host_not_allowed")

    def _check_origin(self) -> None:
        if self._origin() is not None and self._origin() not in self._origins:
            raise problem("origin_not_allowed")

    def _check_key(self) -> None:
        if self._key is None or request.path in OPEN_PATHS:
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self._key):
            raise problem("invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    @staticmethod
    def _origin() -> str | None:
        origin = request.headers.get("Origin")
        return None if origin is None else origin.lower()

    @staticmethod
    def _preflight() -> Response:
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_AGE_S
        if HEADER_NAMES.fullmatch(wanted):
            response.headers["Access-Control-Allow-Headers"] = wanted
        return response
