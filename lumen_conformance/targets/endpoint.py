"""Where a target is reached: how clients call it, with the key and the headers that it was declared to need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lumen_conformance.http.capture import WITNESS
from lumen_conformance.http.client import Capture, Connection, OnBody, call
from lumen_conformance.targets.parsers import parse_address
from lumen_conformance.targets.readiness import Readiness, describe_answer
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

PROBE_S = 5.0  # one probe; /health is held to 1 s by the checks, so a longer look only says by how much it failed
SHOWN_CHARS = 500  # of an answer that says why it is not ready
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Health:
    """One probe of the target. Numbers are 0 and words empty where there was no answer (``restarts``: -1).

    ``ready``  whether this is the answer by which the target says that it is ready
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
        """What an answer says; anything that is not a JSON object says nothing."""
        try:
            body = capture.json()
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return cls(capture, capture.status, ready)
        words = {name: body[name] for name in ("instance",) if isinstance(body.get(name), str)}
        names = ("pid", "supervisor_pid", "generation", "restarts")
        numbers = {name: body[name] for name in names if isinstance(body.get(name), int)}
        return cls(capture, capture.status, ready, **words, **numbers, body=body)


class Endpoint:
    """Somebody who answers for a target; who that is, and at which origin, is for those below to say."""

    target: Target
    port: int

    @property
    def url(self) -> str:
        """The origin, with any prefix, without a trailing slash."""
        raise NotImplementedError

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What every request has, the key among it."""
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
        """See `capture.call`; headers of the target are added, unless a header of the same name is given.

        Without a `timeout_s` of its own a call may take as long as the target is given for an answer.
        """
        given = self.with_headers(headers)
        return call(
            self.url, method, path, json=json, body=body, headers=given, on_body=on_body,
            timeout_s=timeout_s or self.target.answer_s,
        )  # fmt: skip

    def with_headers(self, given: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """These headers, and those of the target that are not among them."""
        own = list(given)
        named = {name.lower() for name, _ in own}
        return [*own, *(pair for pair in self.headers if pair[0].lower() not in named)]

    def connection(self) -> Connection:
        """A connection that stays open between requests."""
        return Connection(self.url, self.headers, self.target.answer_s)

    def health(self, within_s: float | None = None) -> Health:
        """Probe once, or until it is ready; what was seen last is returned either way and never judged."""
        last: list[Health] = []
        asked = WITNESS.last  # a probe of the harness is not what a test has asked

        def healthy() -> bool:
            capture = self.call("GET", self.target.probe_path, timeout_s=PROBE_S)
            last[:] = [Health.of(capture, ready=self.target.is_ready_status(capture.status))]
            return last[0].ready

        observe("the target says that it is ready", healthy, within_s=within_s or 0.0)
        WITNESS.last = asked
        return last[0]

    def chat(self, text: str, *, timeout_s: float | None = None, **body: Any) -> Capture:  # noqa: ANN401 -- any JSON
        """One question of one user; `body` adds fields or replaces them."""
        question = {"model": self.target.model, "messages": [{"role": "user", "content": text}], **body}
        return self.call("POST", CHAT, json=question, timeout_s=timeout_s)


def _advice(told: Capture) -> str:
    """What to do where a server that runs elsewhere does not say that it is ready."""
    if told.status and 300 <= told.status < 400 and (place := told.header("location")):
        return f"it redirects to {place}, and no redirect is followed: give the address behind it as --proxy-url"
    if told.status:
        return "another address is named by --proxy-health-path, and with none /v1/models is asked instead"
    if "CERTIFICATE_VERIFY_FAILED" in (told.error or ""):
        return "the environment variable SSL_CERT_FILE names a file with the certificates to trust"
    if told.url.startswith("https:") and "SSL" in (told.error or "").upper():
        return "it speaks no TLS there; say http:// where it speaks none"
    return "is it running, is it HTTP/1.1 (http or https), and are --proxy-url and --proxy-health-path right?"


class RemoteServer(Endpoint):
    """A server that runs somewhere already: nothing of it is ours to start, stop or look into."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.port = parse_address(target.url)[1]

    @property
    def url(self) -> str:
        """As it was given."""
        return self.target.url

    def wait_ready(self, readiness: Readiness) -> RemoteServer:
        """Look once in a run; raises `NeverReady` when it does not say that it is ready."""
        readiness.look()
        health = self.health()
        if not health.ready:
            told = health.capture
            words = (
                f"{told.url} does not say that it is ready: answered with {describe_answer(told)}; {_advice(told)}\n"
                f"{told.text[:SHOWN_CHARS]}\nrepeat: {told.curl()}"
            )
            raise readiness.refuted(ConnectionError(words), words)
        readiness.proven()
        return self
