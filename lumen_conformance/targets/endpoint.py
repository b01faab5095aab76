"""The endpoint of a target: how the suite calls it, with the key and the headers of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import Capture, Connection, OnBody, call
from lumen_conformance.registry.option_table import spelled
from lumen_conformance.targets.parsers import parse_address
from lumen_conformance.targets.readiness import Readiness, describe_answer
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

PROBE_S = 5.0  # one probe; the checks allow 1 s for /health, and a slower answer is measured
SHOWN_CHARS = 500  # of an answer that may have the reason
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Health:
    """One probe of the target. Without an answer numbers are 0, texts are empty, and ``restarts`` is -1.

    ``ready``  whether this answer says that the target is ready
    """

    capture: Capture
    status: int | None
    ready: bool
    instance: str = ""
    pid: int = 0
    supervisor_pid: int = 0
    generation: int = 0
    restarts: int = -1
    body: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, capture: Capture, *, ready: bool) -> Health:
        """Return the fields of an answer; an answer that is no JSON object has none."""
        try:
            body = capture.json()
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return cls(capture, capture.status, ready)
        texts = {name: body[name] for name in ("instance",) if isinstance(body.get(name), str)}
        names = ("pid", "supervisor_pid", "generation", "restarts")
        numbers = {name: body[name] for name in names if isinstance(body.get(name), int)}
        return cls(capture, capture.status, ready, **texts, **numbers, body=body)


class Endpoint:
    """The base class of what answers for a target; subclasses have its origin."""

    target: Target
    port: int

    @property
    def url(self) -> str:
        """The origin, with any prefix, without a trailing slash."""
        raise NotImplementedError

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of every request, with the key."""
        return self.target.headers

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,  # noqa: ANN401 -- whatever a client could send
        body: bytes | None = None,
        headers: Iterable[tuple[str, str]] = (),
        timeout_s: float | None = None,
        on_body: OnBody | None = None,
    ) -> Capture:
        """See `client.call`. Headers of the target are added, unless a header of the same name is given.

        Without `timeout_s` a call may take as long as an answer of the target, see `Target.answer_s`.
        """
        given = self.with_headers(headers)
        return call(
            self.url, method, path, json=json, body=body, headers=given, on_body=on_body,
            timeout_s=timeout_s or self.target.answer_s,
        )  # fmt: skip

    def with_headers(self, given: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """Return these headers, and those of the target that are not among them."""
        headers = list(given)
        named = {name.lower() for name, _ in headers}
        return [*headers, *(pair for pair in self.headers if pair[0].lower() not in named)]

    def connection(self) -> Connection:
        """Return a connection that stays open between requests."""
        return Connection(self.url, self.headers, self.target.answer_s)

    def health(self, within_s: float | None = None) -> Health:
        """Probe once, or until the target is ready or time is up; return the last answer."""
        last: list[Health] = []
        request_before = LAST_CAPTURE.capture  # a probe of the suite is no request of a test

        def healthy() -> bool:
            capture = self.call("GET", self.target.probe_path, timeout_s=PROBE_S)
            last[:] = [Health.of(capture, ready=self.target.is_ready_status(capture.status))]
            return last[0].ready

        observe("the target is ready", healthy, within_s=within_s or 0.0)
        LAST_CAPTURE.capture = request_before
        return last[0]

    def chat(self, text: str, *, timeout_s: float | None = None, **body: Any) -> Capture:  # noqa: ANN401 -- any JSON
        """Send one question of one user; `body` adds fields or replaces them."""
        question = {"model": self.target.model, "messages": [{"role": "user", "content": text}], **body}
        return self.call("POST", CHAT, json=question, timeout_s=timeout_s)


def _advise(answer: Capture) -> str:
    """Return what to do about a running server that does not answer that it is ready."""
    if answer.status and 300 <= answer.status < 400 and (location := answer.header("location")):
        return (
            f"it redirects to {location}, and no redirect is followed: give the address behind it as {spelled('url')}"
        )
    if answer.status:
        return f"give another path by {spelled('health-path')}; with none the probe is /v1/models"
    if "CERTIFICATE_VERIFY_FAILED" in (answer.error or ""):
        return "the environment variable SSL_CERT_FILE names a file with the certificates to trust"
    if answer.url.startswith("https:") and "SSL" in (answer.error or "").upper():
        return "the server does not use TLS there; give an http:// URL"
    names = f"{spelled('url')} and {spelled('health-path')}"
    return f"is it running, is it HTTP/1.1 (http or https), and are {names} right?"


class RemoteServer(Endpoint):
    """A server that runs already: the suite cannot start it, stop it or read its files."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.port = parse_address(target.url)[1]

    @property
    def url(self) -> str:
        """As it was given."""
        return self.target.url

    def wait_ready(self, readiness: Readiness) -> RemoteServer:
        """Probe once in a run; raises `NeverReady` when the answer does not say that the server is ready."""
        readiness.raise_failure()
        health = self.health()
        if not health.ready:
            answer = health.capture
            message = (
                f"{answer.url} is not ready: {describe_answer(answer)}; {_advise(answer)}\n"
                f"{answer.text[:SHOWN_CHARS]}\nrepeat: {answer.curl()}"
            )
            raise readiness.record_failure(ConnectionError(message), message)
        readiness.record_ready()
        return self
