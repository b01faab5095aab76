"""The proxy and `diagnose` reach the gateway in the same way: a chat and the verdict agree on each network."""

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
from tests.operations.conftest import Desk, healthy_gateway

FAR = "gateway.invalid"  # no address of this machine: proxies apply to it
PRIVATE = "10.20.30.40"  # stands for 127.0.0.1 in the children of a test
BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The time-out of a connection to the address that drops packets. The other address accepts within milliseconds; the
# proxy tries it 0.25 s after the first.
CONNECT_TIMEOUT_S = "1.5"
STAGED = {"E2E_LUMEN_MUTATION": "network", "E2E_LUMEN_MUTATIONS": network.__file__}


@dataclass
class Network:
    """The parts of a network. `env` is the environment of the proxy and of `diagnose`."""

    desk: Desk
    folder: Path
    stack: ExitStack
    proxy: ScriptedGateway
    env: dict[str, str | None] = field(default_factory=dict)

    def over_tls(self, *variables: str) -> None:
        """Use a gateway with TLS; these variables name a bundle with its authority."""
        certified = create_certificate(self.folder, "localhost")
        front = self.stack.enter_context(TlsFront(certified, self.desk.gateway.port))
        self.env |= {"LUMEN_GATEWAY_URL": f"https://localhost:{front.port}"}
        self.env |= dict.fromkeys(BUNDLES) | dict.fromkeys(variables, str(certified))

    def behind_a_strict_proxy(self, scheme: str) -> None:
        """Use a forward proxy that answer_with each request with 407, as Squid does."""
        self.proxy.standing = respond_with(b"<html>denied</html>", 407, media_type="text/html")
        self.env |= {"LUMEN_GATEWAY_URL": f"{scheme}://{FAR}", f"{scheme}_proxy": self.proxy.url}

    def in_a_private_network(self) -> None:
        """Use a forward proxy that refuses connections, and except the network of the gateway by `no_proxy`."""
        self.proxy.down()
        self.env |= STAGED | {network.REROUTED: json.dumps({PRIVATE: "127.0.0.1"})}
        url = f"http://{PRIVATE}:{self.desk.gateway.port}"
        self.env |= {"LUMEN_GATEWAY_URL": url, "http_proxy": self.proxy.url, "no_proxy": "localhost,10.0.0.0/8"}

    def behind_socks(self) -> None:
        """Use a SOCKS proxy, which is not supported; the gateway is reachable without it."""
        self.env |= STAGED | {network.NAMES: json.dumps({FAR: ["127.0.0.1"]})}
        url = f"http://{FAR}:{self.desk.gateway.port}"
        self.env |= {"LUMEN_GATEWAY_URL": url, "ALL_PROXY": f"socks5://127.0.0.1:{self.proxy.port}"}

    def behind_a_captive_portal(self) -> None:
        """Answer each request with a web page and 200."""
        self.desk.gateway.standing = html

    def with_a_black_hole_first(self) -> None:
        """Give the gateway two addresses; the first one drops each connection request."""
        port = self.desk.gateway.port
        self.stack.enter_context(open_black_hole("127.0.0.2", port))
        self.env |= STAGED | {network.NAMES: json.dumps({FAR: ["127.0.0.2", "127.0.0.1"]})}
        self.env |= {"LUMEN_GATEWAY_URL": f"http://{FAR}:{port}", "LUMEN_CONNECT_TIMEOUT_S": CONNECT_TIMEOUT_S}

    def chat(self) -> int:
        """Start the proxy and send a question; return the status, 0 if the proxy does not start."""
        started = self.desk.run("start", env=self.env)
        if started.exit_status:
            assert started.exit_status == 78, started.stderr
            return 0
        body = {"messages": [{"role": "user", "content": "안녕하세요"}]}
        got = client.call(f"http://127.0.0.1:{self.desk.port}", "POST", "/v1/chat/completions", json=body)
        assert got.status
        return got.status

    def diagnose(self, *options: str) -> dict[str, Any]:
        """The result of `diagnose` on this network."""
        return self.desk.diagnose("--no-start", *options, env=self.env)


@pytest.fixture
def stage(desk: Desk, tmp_path: Path) -> Iterator[Network]:
    """A desk with a network that a test can change."""
    with ExitStack() as stack, ScriptedGateway(healthy_gateway) as proxy:
        yield Network(desk, tmp_path, stack, proxy)


Change = Callable[[Network], object]
GOOD: dict[str, Change] = {
    "authority in SSL_CERT_FILE": lambda stage: stage.over_tls("SSL_CERT_FILE"),
    "authority in REQUESTS_CA_BUNDLE": lambda stage: stage.over_tls("REQUESTS_CA_BUNDLE"),
    "authority in CURL_CA_BUNDLE": lambda stage: stage.over_tls("CURL_CA_BUNDLE"),
    "no_proxy with a network": Network.in_a_private_network,
    "a silent first address": Network.with_a_black_hole_first,
}
BAD: dict[str, tuple[Change, str | None, str]] = {
    "unknown authority": (Network.over_tls, None, "SSL_CERT_FILE"),
    "407 to a tunnel": (lambda stage: stage.behind_a_strict_proxy("https"), "proxy-407", "USER:PASSWORD"),
    "407 to a request": (lambda stage: stage.behind_a_strict_proxy("http"), "proxy-407", "USER:PASSWORD"),
    "a SOCKS proxy": (Network.behind_socks, "proxy-unsupported", "http://"),
    "a captive portal": (Network.behind_a_captive_portal, "captive-portal", "sign in"),
}
"""The change of the network, the known issue, a word of the advice."""
FREE_AND_DEEP: tuple[tuple[str, ...], ...] = ((), ("--deep",))


@NEEDS_OPENSSL
@pytest.mark.parametrize("name", GOOD)
def test_a_network_on_which_chats_are_answered(stage: Network, name: str) -> None:
    """A chat is answered, and the gateway is UP for a free probe and for a chat request."""
    GOOD[name](stage)
    assert stage.chat() == 200
    assert [stage.diagnose(*options)["gateway"]["state"] for options in FREE_AND_DEEP] == ["up", "up"]


@NEEDS_OPENSSL
@pytest.mark.parametrize("name", BAD)
def test_a_network_on_which_no_chat_is_answered(stage: Network, name: str) -> None:
    """A chat fails or the proxy does not start; the gateway is DOWN, with the advice for this network."""
    change, case, remedy = BAD[name]
    change(stage)
    assert stage.chat() in {0, 502}
    for options in FREE_AND_DEEP:
        found = stage.diagnose(*options)["gateway"]
        assert (found["state"], found["case"]) == ("down", case), options
        assert remedy in found["advice"], options


def test_deep_accepts_a_long_answer(desk: Desk) -> None:
    """`diagnose --deep` accepts answer_with of the same size as a chat."""
    long = answer_with("가" * 100_000)
    desk.gateway.standing = lambda exchange: (
        long(exchange) if exchange.call.method == "POST" else healthy_gateway(exchange)
    )
    assert desk.diagnose("--no-start", "--deep")["gateway"]["said"] == "answers"


def test_a_dead_address_is_noted(stage: Network) -> None:
    """`diagnose` names an address that accepts no connections, and the channel is UP."""
    stage.with_a_black_hole_first()
    found = stage.diagnose()
    assert found["gateway"]["state"] == "up"
    (note,) = [note for note in found["notes"] if FAR in note]
    assert note.startswith(f"{FAR} resolves to 127.0.0.2 and 127.0.0.1; 127.0.0.2 accepts no connections")
