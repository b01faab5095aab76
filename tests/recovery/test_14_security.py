"""Scenario 14: requests of web pages, of strangers and of attackers are refused; no secret leaves; slow clients end.

Setup: a proxy with a key that occurs nowhere else, the canary, and one request of each kind. Everything that the proxy
has written, answered, sent to the gateway or printed is searched for the canary. Then two hundred clients that send
their headers a byte at a time.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import request_bytes, send
from lumen_conformance.registry import MeasureFixture, check, check_each, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import observe_exit
from lumen_conformance.stages.outages import ChatAnswer
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.endpoint import PROBE_S
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

OURS = pytest.mark.needs("journal")
CANARY_KEY = "canary-5d1c0b7e94a2"  # made up; no other text of a run has it
CHAT = "/v1/chat/completions"
JSON = ("Content-Type", "application/json")
KEY = ("Authorization", f"Bearer {CANARY_KEY}")
BODY = json.dumps({"model": "lumen-gateway", "messages": [{"role": "user", "content": "열려 있나요?"}]}).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
EXACT = str(len(BODY))
NO_PERMISSION = 77
REFUSAL_BUDGET_S = 10.0  # a start of the interpreter, and its end
CLIENTS = 200
HEADER_TIMEOUT_S = 2.0  # long enough for the probes while the clients are connected
BYTE_EVERY_S = 0.25  # so a limit on silence alone never ends them
LATE_S = 8.0  # from the time limit to the end of two hundred connections, on a machine that is busy
HEALTH_BUDGET_S = 1.0  # check 1.2
SLOW_HEAD = b"GET /health HTTP/1.1\r\nX-Slow: "


@dataclass(frozen=True)
class RefusedRequest:
    """One request and its refusal; `lengths` are the header lines of a request with a malformed length."""

    status: int
    code: str
    headers: tuple[tuple[str, str], ...] = (KEY, JSON)
    lengths: tuple[str, ...] = ()


def length(*lines: str) -> RefusedRequest:
    """Return a request with these lengths."""
    return RefusedRequest(400, "invalid_http", lengths=lines)


BAD_REQUESTS = {
    "14.1-foreign-host": RefusedRequest(403, "host_not_allowed", (KEY, JSON, ("Host", "evil.example"))),
    "14.2-foreign-origin": RefusedRequest(403, "origin_not_allowed", (KEY, JSON, ("Origin", "https://evil.example"))),
    "14.3-text-plain": RefusedRequest(415, "unsupported_media_type", (KEY, ("Content-Type", "text/plain"))),
    "14.4-no-key": RefusedRequest(401, "invalid_api_key", (JSON,)),
    "14.5-wrong-key": RefusedRequest(401, "invalid_api_key", (("Authorization", "Bearer canary-of-another"), JSON)),
    "14.6-length-negative": length(f"Content-Length: -{EXACT}"),
    "14.6-length-signed": length(f"Content-Length: +{EXACT}"),
    "14.6-length-hexadecimal": length(f"Content-Length: {len(BODY):#x}"),
    "14.6-length-two-values": length(f"Content-Length: {EXACT}, 5"),
    "14.6-length-twice": length(f"Content-Length: {EXACT}", "Content-Length: 5"),
    "14.6-length-and-chunked": length(f"Content-Length: {EXACT}", "Transfer-Encoding: chunked"),
}


@dataclass(frozen=True)
class AccessEvidence(StageStep):
    """The evidence: the answers by check, how many calls each made, a good request, and where the canary was found."""

    refusals: dict[str, ChatAnswer]
    asked: dict[str, int]
    good: ChatAnswer
    searched: int
    canary_in: tuple[str, ...]


@stage(scenario=14, needs=("journal",))
def guarded(launch: Launcher, gateway: ScriptedGateway) -> AccessEvidence:
    """Send each bad request and a good one, print settings and status, stop, and search for the canary."""
    secret = {"PROXY_API_KEY": CANARY_KEY}
    proxy = launch(gateway=gateway, env={**secret, "LUMEN_LOG_LEVEL": "debug", "LUMEN_STANDBY": "0"})
    captures, asked = dict[str, Capture](), dict[str, int]()
    for name, row in BAD_REQUESTS.items():
        before = len(gateway.chats)
        captures[name] = send(proxy.url, request_of(proxy, row))
        asked[name] = len(gateway.chats) - before
    captures["good"] = proxy.call("POST", CHAT, body=BODY, headers=(KEY, JSON))
    captures |= {path: proxy.call("GET", path, headers=(KEY,)) for path in ("/", "/health", "/ready", "/metrics")}
    folder = {"LUMEN_STATE_DIR": str(proxy.state_dir), "LUMEN_LOG_DIR": str(proxy.journal.folder)}
    shown = [
        launch.run(command, "--json", env={**secret, **folder, "PROXY_PORT": str(proxy.port)}, gateway=gateway)
        for command in ("status", "config")
    ]
    files = read_files(proxy)  # those of its state before the stop, which removes them
    proxy.end()
    places = {f"answer to {name}": capture.raw.decode("latin-1") for name, capture in captures.items()}
    places |= {" ".join(done.argv[-2:]): done.stdout + done.stderr for done in shown}
    places |= {f"gateway call {call.number}": f"{call.headers} {call.body!r}" for call in gateway.calls}
    places |= files | {f"{name} at the end": text for name, text in read_files(proxy).items()}
    found = tuple(sorted(place for place, text in places.items() if CANARY_KEY in text))
    refusals = {name: ChatAnswer.of(captures[name]) for name in BAD_REQUESTS}
    return AccessEvidence(refusals, asked, ChatAnswer.of(captures["good"]), len(places), found)


def request_of(proxy: LaunchedTarget, row: RefusedRequest) -> bytes:
    """Return the bytes of a bad request."""
    if not row.lengths:
        return request_bytes(proxy.url, "POST", CHAT, body=BODY, headers=row.headers)
    lines = [f"POST {CHAT} HTTP/1.1", f"Host: 127.0.0.1:{proxy.port}", *map(": ".join, row.headers), *row.lengths]
    body = CHUNKED if "Transfer-Encoding: chunked" in row.lengths else BODY
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_files(proxy: LaunchedTarget) -> dict[str, str]:
    """Return the texts of all files that the proxy has written: output, logs, journal, state."""
    files = (path for path in sorted(Path(proxy.folder).rglob("*")) if path.is_file() and path.suffix != ".py")
    return {path.relative_to(proxy.folder).as_posix(): path.read_text("utf-8", errors="replace") for path in files}


@check_each(
    "name",
    {name: name for name in BAD_REQUESTS},
    source="docs/behaviour.md: Errors; RFC 9112, 6.3: a message with an invalid length is an error; SECURITY.md",
)
@OURS
def test_bad_request_is_refused(guarded: AccessEvidence, name: str) -> None:
    """A request that must be refused ({row}) gets the documented status and code, and makes no call of the gateway."""
    row, answer = BAD_REQUESTS[name], guarded.refusals[name]
    expected = f"status {row.status} and code {row.code}"
    expect((answer.status, answer.code) == (row.status, row.code), expected, answer.described)
    expect(guarded.asked[name] == 0, "no call of the gateway", f"{guarded.asked[name]} calls")


@check("14.7-good-request", source="docs/behaviour.md: PROXY_API_KEY")
@OURS
def test_good_request_is_answered(guarded: AccessEvidence) -> None:
    """Beside the bad requests, one with the key and the right headers is answered."""
    expect(guarded.good.status == 200 and bool(guarded.good.text), "status 200 and a text", guarded.good.described)


@check("14.8-canary", source="SECURITY.md; docs/behaviour.md: the state file is private and has no secret")
@OURS
def test_canary_is_nowhere(guarded: AccessEvidence, measure: MeasureFixture) -> None:
    """The key is in no answer, no log, no journal, no state file, no output, and no call of the gateway."""
    measure(guarded.searched, "places")
    expect(not guarded.canary_in, f"the key in none of {guarded.searched} places", ", ".join(guarded.canary_in))


@dataclass(frozen=True)
class OpenEvidence(StageStep):
    """The evidence: how a start at an address of the network without a key ended, and where it listened."""

    exit_status: int | None
    listened_on: tuple[int, ...]


@stage(scenario=14, needs=("journal",))
def open_start(launch: Launcher, target: Target) -> OpenEvidence:
    """Start at all addresses, without a key."""
    command = replace(target, command=(*target.tool, "serve", "--port", "0"))
    started = launch(ready=False, target=command, env={"PROXY_HOST": "0.0.0.0"})  # noqa: S104 -- must be refused
    ended = observe_exit(started, REFUSAL_BUDGET_S)
    started.end()
    return OpenEvidence(ended.status, ended.listened_on)


@check("14.9-open-without-key", source="sysexits(3): EX_NOPERM is 77; docs/behaviour.md: Settings; SECURITY.md")
@OURS
def test_network_needs_a_key(open_start: OpenEvidence) -> None:
    """Without a key a start at an address that the network reaches ends with 77 and listens nowhere."""
    status, ports = open_start.exit_status, open_start.listened_on
    expect((status, ports) == (NO_PERMISSION, ()), "exit status 77, no port", f"status {status}, ports {ports}")


@dataclass(frozen=True)
class SlowEvidence(StageStep):
    """The evidence: probes while two hundred clients send slow heads, and how many of these were ended, and when."""

    probes: tuple[tuple[bool, float], ...]
    ended: int
    elapsed_s: float


@stage(scenario=14, needs=("launch", "health"))
def slow_heads(launch: Launcher, gateway: ScriptedGateway) -> SlowEvidence:
    """Connect two hundred clients, probe, and send a byte of each head at a time until the server ends them."""
    proxy = launch(gateway=gateway, env={"LUMEN_HEADER_TIMEOUT_S": f"{HEADER_TIMEOUT_S:g}"})
    with ExitStack() as stack:
        began_s, clients = time.monotonic(), list(connect_all(proxy, stack))
        healths = [proxy.health() for _ in range(3)]
        within_s = HEADER_TIMEOUT_S + LATE_S if "journal" in proxy.target.can else 0.0
        observe("all have ended", lambda: not send_bytes(clients), within_s=within_s, pause=pause)
        left, elapsed_s = len(send_bytes(clients)), time.monotonic() - began_s
    probes = tuple((health.ready, health.capture.elapsed_s) for health in healths)
    return SlowEvidence(probes, CLIENTS - left, elapsed_s)


def connect_all(proxy: LaunchedTarget, stack: ExitStack) -> Iterator[socket.socket]:
    """Connect the clients, and send the beginning of a head on each connection."""
    for _ in range(CLIENTS):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=HEADER_TIMEOUT_S))
        client.sendall(SLOW_HEAD)
        client.setblocking(False)  # noqa: FBT003 -- the only parameter
        yield client


def send_bytes(clients: list[socket.socket]) -> list[socket.socket]:
    """Send a byte on each connection; drop the connections that the server has ended, and return the others."""
    clients[:] = [client for client in clients if is_open(client)]
    return clients


def is_open(client: socket.socket) -> bool:
    """Send a byte; return whether the server has neither answered nor closed."""
    try:
        client.send(b"a")
        client.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def pause(_pause_s: float) -> None:
    """Wait until the next byte."""
    threading.Event().wait(BYTE_EVERY_S)


@check(
    "14.10-health-with-slow-clients",
    source="docs/behaviour.md: /health; Kubernetes, liveness probes: timeoutSeconds is 1 by default",
)
@pytest.mark.load
@pytest.mark.needs("health")
def test_health_with_slow_clients(slow_heads: SlowEvidence, target: Target, measure: MeasureFixture) -> None:
    """While two hundred clients send slow headers, the probe is answered within its time limit."""
    budget_s = PROBE_S if target.foreign else HEALTH_BUDGET_S
    measure(max(elapsed_s for _, elapsed_s in slow_heads.probes), "s", budget_s, headline=True)
    good = all(ready and elapsed_s < budget_s for ready, elapsed_s in slow_heads.probes)
    found = ", ".join(
        f"{'ready' if ready else 'not ready'} after {elapsed_s:.1f} s" for ready, elapsed_s in slow_heads.probes
    )
    expect(good, f"three probes that are answered within {budget_s:g} s", found)


@check("14.11-slow-heads-end", source="docs/behaviour.md: LUMEN_HEADER_TIMEOUT_S; CAPEC-469: HTTP slow headers")
@OURS
def test_slow_heads_end(slow_heads: SlowEvidence, measure: MeasureFixture) -> None:
    """A client that sends its headers a byte at a time is disconnected at the time limit for headers."""
    measure(slow_heads.elapsed_s, "s", HEADER_TIMEOUT_S + LATE_S)
    expected = f"{CLIENTS} clients ended within {HEADER_TIMEOUT_S + LATE_S:g} s"
    expect(slow_heads.ended == CLIENTS, expected, f"{slow_heads.ended} after {slow_heads.elapsed_s:.1f} s")
