"""The proxy and `diagnose` reach the gateway in one way: on each network a real chat and the verdict agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.gateway.replies import answer_with, html, respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from tests.fixtures.blackholes import open_black_hole
from tests.fixtures.faults import network
from tests.fixtures.tls import NEEDS_OPENSSL, TlsFront, create_certificate
from tests.operations.conftest import Desk, gateway_lives

FAR = "gateway.invalid"  # no address of this machine: proxies apply to it
PRIVATE = "10.20.30.40"  # stands for 127.0.0.1 in the children of a test
BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# How long a look at each address waits for the black hole. The other one accepts within milliseconds, and is tried by
# the proxy 0.25 s after the first.
IN_VAIN_S = "1.5"
STAGED = {"E2E_LUMEN_SABOTAGE": "network", "E2E_LUMEN_SABOTAGES": network.__file__}


@dataclass
class Stage:
    """The parts that a network is made of. `env` is what the proxy and `diagnose` are started with."""

    desk: Desk
    folder: Path
    stack: ExitStack
    proxy: ScriptedGateway
    env: dict[str, str | None] = field(default_factory=dict)

    def over_tls(self, *variables: str) -> None:
        """The gateway speaks TLS; its authority is in a bundle that these variables name."""
        certified = create_certificate(self.folder, "localhost")
        front = self.stack.enter_context(TlsFront(certified, self.desk.gateway.port))
        self.env |= {"LUMEN_GATEWAY_URL": f"https://localhost:{front.port}"}
        self.env |= dict.fromkeys(BUNDLES) | dict.fromkeys(variables, str(certified))

    def behind_a_strict_proxy(self, scheme: str) -> None:
        """Everything is answered with 407, as Squid does."""
        self.proxy.standing = respond_with(b"<html>denied</html>", 407, media_type="text/html")
        self.env |= {"LUMEN_GATEWAY_URL": f"{scheme}://{FAR}", f"{scheme}_proxy": self.proxy.url}

    def in_a_private_network(self) -> None:
        """`no_proxy` excepts the network of the gateway; the proxy refuses every connection."""
        self.proxy.down()
        self.env |= STAGED | {network.REROUTED: json.dumps({PRIVATE: "127.0.0.1"})}
        url = f"http://{PRIVATE}:{self.desk.gateway.port}"
        self.env |= {"LUMEN_GATEWAY_URL": url, "http_proxy": self.proxy.url, "no_proxy": "localhost,10.0.0.0/8"}

    def behind_socks(self) -> None:
        """A proxy of a kind that is not spoken; the gateway could be reached without it."""
        self.env |= STAGED | {network.NAMES: json.dumps({FAR: ["127.0.0.1"]})}
        url = f"http://{FAR}:{self.desk.gateway.port}"
        self.env |= {"LUMEN_GATEWAY_URL": url, "ALL_PROXY": f"socks5://127.0.0.1:{self.proxy.port}"}

    def behind_a_captive_portal(self) -> None:
        """A page with 200 for every request."""
        self.desk.gateway.standing = html

    def with_a_black_hole_first(self) -> None:
        """The name has two addresses; the first drops every connection request."""
        port = self.desk.gateway.port
        self.stack.enter_context(open_black_hole("127.0.0.2", port))
        self.env |= STAGED | {network.NAMES: json.dumps({FAR: ["127.0.0.2", "127.0.0.1"]})}
        self.env |= {"LUMEN_GATEWAY_URL": f"http://{FAR}:{port}", "LUMEN_CONNECT_TIMEOUT_S": IN_VAIN_S}

    def chat(self) -> int:
        """Start the proxy and ask it a question: the status; 0 if it refuses to start."""
        started = self.desk.run("start", env=self.env)
        if started.exit_status:
            assert started.exit_status == 78, started.stderr
            return 0
        body = {"messages": [{"role": "user", "content": "안녕하세요"}]}
        got = client.call(f"http://127.0.0.1:{self.desk.port}", "POST", "/v1/chat/completions", json=body)
        assert got.status
        return got.status

    def diagnose(self, *words: str) -> dict[str, Any]:
        """What `diagnose` says, with the gateway as its channel."""
        return self.desk.diagnose("--no-start", *words, env=self.env)


@pytest.fixture
def stage(desk: Desk, tmp_path: Path) -> Iterator[Stage]:
    """A desk whose network can be changed."""
    with ExitStack() as stack, ScriptedGateway(gateway_lives) as proxy:
        yield Stage(desk, tmp_path, stack, proxy)


Lay = Callable[[Stage], object]
GOOD: dict[str, Lay] = {
    "authority in SSL_CERT_FILE": lambda stage: stage.over_tls("SSL_CERT_FILE"),
    "authority in REQUESTS_CA_BUNDLE": lambda stage: stage.over_tls("REQUESTS_CA_BUNDLE"),
    "authority in CURL_CA_BUNDLE": lambda stage: stage.over_tls("CURL_CA_BUNDLE"),
    "no_proxy with a network": Stage.in_a_private_network,
    "a silent first address": Stage.with_a_black_hole_first,
}
BAD: dict[str, tuple[Lay, str | None, str]] = {
    "unknown authority": (Stage.over_tls, None, "SSL_CERT_FILE"),
    "407 to a tunnel": (lambda stage: stage.behind_a_strict_proxy("https"), "proxy-407", "USER:PASSWORD"),
    "407 to a request": (lambda stage: stage.behind_a_strict_proxy("http"), "proxy-407", "USER:PASSWORD"),
    "a SOCKS proxy": (Stage.behind_socks, "proxy-unsupported", "http://"),
    "a captive portal": (Stage.behind_a_captive_portal, "captive-portal", "sign in"),
}
"""What is laid, the known issue, a word of the advice."""
FREE_AND_DEEP: tuple[tuple[str, ...], ...] = ((), ("--deep",))


@NEEDS_OPENSSL
@pytest.mark.parametrize("name", GOOD)
def test_a_network_on_which_chats_are_answered(stage: Stage, name: str) -> None:
    """The chat is answered, and the gateway is UP, asked for free or for an answer."""
    GOOD[name](stage)
    assert stage.chat() == 200
    assert [stage.diagnose(*words)["gateway"]["state"] for words in FREE_AND_DEEP] == ["up", "up"]


@NEEDS_OPENSSL
@pytest.mark.parametrize("name", BAD)
def test_a_network_on_which_no_chat_is_answered(stage: Stage, name: str) -> None:
    """The chat fails, or the proxy refuses to start; the gateway is DOWN, with the advice for this network."""
    lay, case, remedy = BAD[name]
    lay(stage)
    assert stage.chat() in {0, 502}
    for words in FREE_AND_DEEP:
        found = stage.diagnose(*words)["gateway"]
        assert (found["state"], found["case"]) == ("down", case), words
        assert remedy in found["advice"], words


def test_a_long_answer_is_an_answer(desk: Desk) -> None:
    """`--deep` reads as much as a chat does."""
    long = answer_with("가" * 100_000)
    desk.gateway.standing = lambda exchange: (
        long(exchange) if exchange.call.method == "POST" else gateway_lives(exchange)
    )
    assert desk.diagnose("--no-start", "--deep")["gateway"]["said"] == "answers"


def test_a_dead_address_is_noted(stage: Stage) -> None:
    """`diagnose` names the address that accepts no connections; the channel stays UP."""
    stage.with_a_black_hole_first()
    found = stage.diagnose()
    assert found["gateway"]["state"] == "up"
    (note,) = [note for note in found["notes"] if FAR in note]
    assert note.startswith(f"{FAR} resolves to 127.0.0.2 and 127.0.0.1; 127.0.0.2 accepts no connections")
