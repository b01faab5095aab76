"""A session of requests whose connections are made in the one way of this program (`lumen_proxy.net`)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from lumen_proxy.errors import Fatal
from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.fetch import Limits, Lost, Request, fetch

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHIN_S = 10.0  # if the caller names no time-out
OWN = {"Connection", "Content-Length", "Accept-Encoding", "User-Agent"}  # headers that `fetch` sets


class NotReached(requests.ConnectionError):
    """The address was not reached. `kind` is that of `lumen_proxy.net`, or `settings`; the text names no path."""

    def __init__(self, kind: str, text: str, request: requests.PreparedRequest) -> None:
        super().__init__(text, request=request)
        self.kind = kind


class Adapter(BaseAdapter):
    """Sends one prepared request. Raises NotReached, or ConnectionError or Timeout once it was sent."""

    def send(  # noqa: PLR0913, PLR0917 - the signature of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: ARG002, FBT001, FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Proxies, certificates and resolution are those of every other connection; `timeout` is for the whole call."""
        body = request.body or b""
        headers = {name: value for name, value in request.headers.items() if name not in OWN}
        content = body.encode() if isinstance(body, str) else bytes(body)
        within_s = float(timeout) if isinstance(timeout, (int, float)) else WITHIN_S
        try:
            sent = Request(request.method or "GET", request.url or "", headers, content)
            fetched = fetch(sent, Limits(within_s))
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
        """Each request has a connection of its own, which is closed by now."""


def session() -> requests.Session:
    """A session that asks neither the environment nor certifi: `lumen_proxy.net` does that."""
    made = requests.Session()
    made.trust_env = False
    for scheme in ("http://", "https://"):
        made.mount(scheme, Adapter())
    return made
