"""One HTTP question of a diagnosis, and several at once under one deadline.

Nothing raised by the network leaves this module: what went wrong is a word in the `Call`. The only
user of requests in the library, for it knows proxies and certificates as the user's other tools do.
"""

from __future__ import annotations

import ipaddress
import json
import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ANSWER_BYTES = 65_536  # far above any health page; a chat answer of 8 MiB is not needed to know that it came
READ_BYTES = 8_192
MS = 1_000
IPV6 = 6
Trouble = Literal["refused", "timeout", "unknown_host", "tls", "lost"]
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One question really asked. `status` is None if no answer came, and then `trouble` says why.

    `url` is for people: without its query, which may be a secret.
    """

    method: str
    url: str
    status: int | None = None
    ms: float | None = None
    trouble: Trouble | None = None
    body: bytes = field(default=b"", repr=False)

    def json(self) -> dict[str, Any]:
        """The answer's object; empty if it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def facts(self) -> dict[str, object]:
        """What is shown of it; never the body."""
        ms = None if self.ms is None else round(self.ms, 1)
        return {"method": self.method, "url": self.url, "status": self.status, "ms": ms, "trouble": self.trouble}


def shown(url: str) -> str:
    """An address without its query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def is_here(url: str) -> bool:
    """True for an address of this machine: a loopback, or one that a socket can be bound to."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    if address.is_loopback:
        return True
    try:
        with socket.socket(socket.AF_INET6 if address.version == IPV6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def session_for(url: str) -> requests.Session:
    """A session that keeps to the user's `*_PROXY` variables, except for this machine: a key of ours stays on it."""
    session = requests.Session()
    session.trust_env = not is_here(url)
    return session


def ask(
    method: str, url: str, *, within_s: float, body: object = None, headers: Mapping[str, str | None] | None = None
) -> Call:
    """Ask once: no redirects, no repetition. A header of None is left out."""
    began = time.monotonic()

    def call(**found: Any) -> Call:  # noqa: ANN401 - the fields of Call
        return Call(method, shown(url), ms=(time.monotonic() - began) * MS, **found)

    try:
        with (
            session_for(url) as session,
            session.request(
                method, url, json=body, headers=headers, timeout=within_s, allow_redirects=False, stream=True
            ) as response,
        ):
            return call(status=response.status_code, body=_read(response, began + within_s))
    except (requests.RequestException, ValueError, OSError) as error:
        return call(trouble=_trouble(error))


def _read(response: requests.Response, until: float) -> bytes:
    body = bytearray()
    for piece in response.iter_content(READ_BYTES):
        body += piece
        if len(body) > ANSWER_BYTES or time.monotonic() > until:
            break
    return bytes(body)


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, requests.Timeout):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    text = repr(error)  # urllib3 keeps the cause inside its own exceptions
    if "NameResolution" in text or "getaddrinfo" in text:
        return "unknown_host"
    if "Read timed out" in text:
        return "timeout"
    return "refused" if "NewConnectionError" in text or "refused" in text else "lost"


def at_once(jobs: Mapping[str, Callable[[], T]], *, within_s: float) -> dict[str, T]:
    """Run all jobs in threads; return what was done by the deadline. The others are left behind, not waited for."""
    done: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()

    def run(name: str, job: Callable[[], T]) -> None:
        try:
            done.put((name, job()))
        except Exception as error:  # noqa: BLE001 - raised again where the answer is read
            done.put((name, error))

    until = time.monotonic() + within_s
    for name, job in jobs.items():
        threading.Thread(target=run, args=(name, job), daemon=True).start()
    found: dict[str, T] = {}
    while len(found) < len(jobs):
        try:
            name, result = done.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            break
        if isinstance(result, BaseException):
            raise result
        found[name] = result
    return found
