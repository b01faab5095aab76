"""Access to the proxy: Host, Origin, key and media type, checked before the routes."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from flask import Response, request

from lumen_proxy.wire.allowed_hosts import AllowedHosts, AllowedOrigins, host_name
from lumen_proxy.wire.api_errors import api_error

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

OPEN_PATHS = {"/", "/health", "/ready"}  # need no key
HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(\s*,\s*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
PREFLIGHT = ("Origin", "Access-Control-Request-Method")  # the headers that make an OPTIONS request one (Fetch, 3.2.2)
PREFLIGHT_AGE_S = "600"
SHOWN_CHARS = 80  # of a refused Host or Origin in a message


class AccessRules:
    """Checks requests against the settings. The methods use Flask's current request."""

    def __init__(self, settings: Settings) -> None:
        self.origins = AllowedOrigins(settings.allowed_origins)
        self._hosts = AllowedHosts(settings.host, settings.allowed_hosts)
        self._key = settings.api_key.encode() if settings.api_key else None

    def check(self) -> Response | None:
        """Answer a preflight request; return None for any other. Raises ApiError: 403, 401 or 415."""
        self._check_host()
        self._check_origin()
        if request.method == "OPTIONS" and all(name in request.headers for name in PREFLIGHT):
            return _preflight()
        self._check_key()
        if request.method == "POST" and request.url_rule:
            _check_body_type()
        return None

    def add_headers(self, response: Response) -> None:
        """Add the headers that a web page needs to read the response."""
        response.headers["Vary"] = "Origin"  # nothing else sets it; Werkzeug's set of names would cost 20 µs
        if origin := request.headers.get("Origin"):
            response.headers.update(self.origins.headers(origin))

    def _check_host(self) -> None:
        host = request.headers.get("Host", "")
        if not self._hosts.allows(host):
            name = _shown(host_name(host) or host)  # without a port, as the variable has it
            remedy = "If it is a name of this proxy, add it to LUMEN_ALLOWED_HOSTS and restart the proxy."
            raise api_error("host_not_allowed", f"This Host is not allowed: {name}. {remedy}")

    def _check_origin(self) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and not self.origins.allows(origin):
            remedy = "Add it to LUMEN_ALLOWED_ORIGINS and restart the proxy to let its pages send requests."
            raise api_error("origin_not_allowed", f"This Origin is not allowed: {_shown(origin)}. {remedy}")

    def _check_key(self) -> None:
        if self._key is None or request.path in OPEN_PATHS:
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self._key):
            raise api_error("invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _preflight() -> Response:
    requested = request.headers.get("Access-Control-Request-Headers", "")
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
    response.headers["Access-Control-Max-Age"] = PREFLIGHT_AGE_S
    if HEADER_NAMES.fullmatch(requested):
        response.headers["Access-Control-Allow-Headers"] = requested
    if request.headers.get("Access-Control-Request-Private-Network") == "true":  # Chromium before 142
        response.headers["Access-Control-Allow-Private-Network"] = "true"
    return response


def _check_body_type() -> None:
    """Refuse a body that is not JSON, or that is compressed: no client of the OpenAI API compresses by default."""
    if request.mimetype != "application/json":
        sent = _shown(request.mimetype) if request.mimetype else "absent"
        raise api_error("unsupported_media_type", f"The Content-Type must be application/json; it is {sent}.")
    coding = request.headers.get("Content-Encoding", "")
    if coding.strip().lower() not in {"", "identity"}:
        text = f"The request body has the content coding {coding[:32]!a}"
        message = f"{text}: send it uncompressed, without Content-Encoding."
        raise api_error("unsupported_media_type", message, headers={"Accept-Encoding": "identity"})  # RFC 9110, 15.5.16


def _shown(text: str) -> str:
    return ascii(text[:SHOWN_CHARS])
