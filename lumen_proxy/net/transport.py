"""A session of requests that connects with `lumen_proxy.net`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from lumen_proxy.errors import Fatal
from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.fetch import FetchLimits, FetchRequest, Lost, fetch

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHIN_S = 10.0  # without a time-out of the caller
OWN = {"Connection", "Content-Length", "Accept-Encoding", "User-Agent"}  # headers that `fetch` sets


class NotReached(requests.ConnectionError):
    """The address was not reached. `kind` is a kind of `ConnectFailed`, or `settings`; the text has no path."""

    def __init__(self, kind: str, text: str, request: requests.PreparedRequest) -> None:
        super().__init__(text, request=request)
        self.kind = kind


class Adapter(BaseAdapter):
    """Sends one prepared request. Raises NotReached; ConnectionError or Timeout after it was sent."""

    def send(  # noqa: PLR0913, PLR0917 - the signature of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: ARG002, FBT001, FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Send it. `timeout` is for the whole call; proxies and certificates are those of `lumen_proxy.net`."""
        body = request.body or b""
        headers = {name: value for name, value in request.headers.items() if name not in OWN}
        content = body.encode() if isinstance(body, str) else bytes(body)
        within_s = float(timeout) if isinstance(timeout, (int, float)) else WITHIN_S
        try:
            sent = FetchRequest(request.method or "GET", request.url or "", headers, content)
            fetched = fetch(sent, FetchLimits(within_s))
        except ConnectFailed as error:
            raise NotReached(error.kind, error.text, request) from None
        except Fatal as error:
            raise NotReached("settings", str(error), request) from None
        except Lost as error:
            kind = requests.Timeout if error.late else requests.ConnectionError
            raise kind(str(error), request=request) from None
        response = requests.Response()
        response.status_code, response.url, response.request = fetched.status, request.url or "", request
        response.headers = CaseInsensitiveDict(fetched.headers.items())
        response.raw = io.BytesIO(fetched.body)
        return response

    def close(self) -> None:
        """Do nothing: the connection of each request is closed already."""


def session() -> requests.Session:
    """A session that uses neither the environment nor certifi itself: `lumen_proxy.net` does that."""
    made = requests.Session()
    made.trust_env = False
    for scheme in ("http://", "https://"):
        made.mount(scheme, Adapter())
    return made
