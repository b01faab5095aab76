"""Binding the port and naming its owner, with real sockets and with fakes for other systems."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from lumen_proxy import platform
from lumen_proxy.console import streams
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import listener
from tests.fixtures.blackholes import NEEDS_LINUX, open_black_hole

INHERITED = "import os, subprocess, sys; fd = int(sys.argv[1]); {act}"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as opened:
        yield opened


def squat(stack: ExitStack, host: str, port: int = 0, *, backlog: int | None = 5, share: bool = True) -> int:
    """Bind a port in this process, listening unless `backlog` is None; return the port."""
    sock = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    if share:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    if backlog is not None:
        sock.listen(backlog)
    bound: int = sock.getsockname()[1]
    return bound


def refusal(host: str, port: int) -> Fatal:
    """The error of a bind that must fail."""
    with pytest.raises(Fatal) as verdict:
        listener.bind(host, port).close()
    return verdict.value


def test_localhost_is_both_loopbacks_on_one_port() -> None:
    """With port 0 both loopbacks accept on one port."""
    bound = listener.bind("localhost", 0)
    with closing(bound):
        assert bound.hosts == ("127.0.0.1", "::1")
        assert bound.note is None
        assert bound.url == f"http://127.0.0.1:{bound.port}"
        for host in bound.hosts:
            assert listener.answers(host, bound.port)


def test_a_literal_address_is_that_one_only() -> None:
    """A literal address opens no address of the other family, not even the one that means all of IPv6."""
    for host, other in (("127.0.0.1", "::1"), ("::1", "127.0.0.1"), ("::", "127.0.0.1")):
        with closing(listener.bind(host, 0)) as bound:
            assert not listener.answers(other, bound.port)
            assert bound.hosts == (host,)


def test_clients_wait_in_the_backlog(stack: ExitStack) -> None:
    """While no worker accepts, many clients can connect, and none is refused or delayed."""
    bound = stack.enter_context(closing(listener.bind("127.0.0.1", 0)))
    for _ in range(20):
        stack.enter_context(socket.create_connection(("127.0.0.1", bound.port), timeout=listener.PROBE_S))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])  # noqa: S104 - the squatter's
def test_a_listening_squatter_is_a_conflict(stack: ExitStack, host: str) -> None:
    """A listener on any address is a conflict: 75 with the address, the PID and the remedy."""
    port = squat(stack, host)
    verdict = refusal("localhost", port)
    assert verdict.exit_status is Exit.PORT_IN_USE
    text = str(verdict)
    assert f":{port}: in use by " in text
    assert f"(pid {os.getpid()})" in text
    assert "stop it or choose another --port" in text


def test_nothing_stays_bound_after_a_conflict(stack: ExitStack) -> None:
    """If ::1 is in use, 127.0.0.1 is released."""
    with ExitStack() as first:  # a port that not even a connection of another program has there
        port = squat(first, "127.0.0.1", share=False)
        squat(stack, "::1", port)
    refusal("localhost", port)
    assert not listener.answers("127.0.0.1", port)
    squat(stack, "127.0.0.1", port, share=False)


def test_a_silent_squatter_is_a_conflict(stack: ExitStack) -> None:
    """A listener that never answers is a conflict at once."""
    port = squat(stack, "127.0.0.1", backlog=0)
    assert refusal("localhost", port).exit_status is Exit.PORT_IN_USE


@NEEDS_LINUX
@pytest.mark.parametrize("here", [True, False])
def test_a_full_queue_is_a_listener_of_this_machine_only(here: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a row
    """A connect time-out means a full queue only for an address of this machine."""
    monkeypatch.setattr(listener, "is_local", lambda _: here)
    with open_black_hole("127.0.0.1") as port:
        assert listener.answers("127.0.0.1", port) is here


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets two sharing sockets bind before one listens")
def test_a_sharing_socket_that_never_listens_is_no_conflict(stack: ExitStack) -> None:
    """A socket that shares its port and does not listen is no conflict."""
    port = squat(stack, "127.0.0.1", backlog=None)
    with closing(listener.bind("localhost", port)):
        assert listener.answers("127.0.0.1", port)


def test_a_socket_that_neither_shares_nor_listens_is_a_conflict(stack: ExitStack) -> None:
    """A bound socket that does not listen is a conflict without a named owner."""
    port = squat(stack, "127.0.0.1", backlog=None, share=False)
    verdict = refusal("localhost", port)
    assert verdict.exit_status is Exit.PORT_IN_USE
    assert "in use by a process that does not listen" in str(verdict)


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are inherited on POSIX only")
def test_the_oldest_holder_is_named(stack: ExitStack) -> None:
    """Of related processes with one socket the oldest is named."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        sleep = "print('up', flush=True); input()"
        act = f"subprocess.run([sys.executable, '-c', {sleep!r}], pass_fds=[fd])"
        command = [sys.executable, "-c", INHERITED.format(act=act), str(sock.fileno())]
        child = subprocess.Popen(
            command, pass_fds=[sock.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.enter_context(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    assert f"(pid {child.pid})" in str(refusal("127.0.0.1", port))


def test_an_ipv4_listener_on_an_ipv6_socket_is_named(stack: ExitStack) -> None:
    """A listener on ::ffff:127.0.0.1 is a listener on 127.0.0.1."""
    sock = stack.enter_context(socket.socket(socket.AF_INET6))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::ffff:127.0.0.1", 0))
    sock.listen()
    assert f"(pid {os.getpid()})" in str(refusal("127.0.0.1", sock.getsockname()[1]))


def test_names_of_owners_cannot_break_the_line() -> None:
    """Control characters in the name of a process are replaced."""
    assert streams.replace_unprintable("evil\n\x1b[31m") == "evil??[31m"


def test_without_ipv6_only_ipv4_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ::1 the proxy listens on 127.0.0.1 and says so."""
    monkeypatch.setattr(listener, "_has_ipv6", lambda: False)
    with closing(listener.bind("localhost", 0)) as bound:
        assert bound.hosts == ("127.0.0.1",)
        assert bound.note == "::1 is not available on this machine; listening on 127.0.0.1 alone"


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_loopback_that_cannot_be_bound_is_missing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A missing protocol and a missing address both mean that there is no IPv6 loopback."""

    def refuse(*_: object) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert not listener._has_ipv6()  # noqa: SLF001


def test_a_pair_is_tried_until_both_are_free(monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    """With port 0 another port is tried if the first one is in use on ::1."""
    taken = squat(stack, "::1")
    really, asked = listener._listen, iter([taken])  # noqa: SLF001

    def listen_on_taken_port_first(host: str, port: int) -> socket.socket:
        return really(host, next(asked, 0) if port == 0 else port)

    monkeypatch.setattr(listener, "_listen", listen_on_taken_port_first)
    with closing(listener.bind("localhost", 0)) as bound:
        assert bound.port != taken


def test_a_listener_on_all_addresses_is_found_by_a_connect(monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    """Where bind succeeds beside a listener on all addresses, a connect finds the conflict."""
    port = squat(stack, "127.0.0.1")
    monkeypatch.setattr(platform, "allows_bind_beside_wildcard", lambda: True)
    monkeypatch.setattr(socket.socket, "bind", lambda *_: None)
    assert refusal("127.0.0.1", port).exit_status is Exit.PORT_IN_USE


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.EACCES, Exit.NO_PERMISSION),
        (errno.EPERM, Exit.NO_PERMISSION),
        (errno.EADDRNOTAVAIL, Exit.OS),
        (errno.EMFILE, Exit.OS),
    ],
)
def test_other_errors_have_their_own_status(monkeypatch: pytest.MonkeyPatch, number: int, status: Exit) -> None:
    """A missing permission is 77, other errors are 71."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    verdict = refusal("127.0.0.1", 80)
    assert verdict.exit_status is status
    assert "cannot listen on 127.0.0.1:80: " in str(verdict)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopbacks_need_no_key(host: str) -> None:
    """A loopback address needs no key."""
    listener.refuse_unsafe(host, has_key=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"])  # noqa: S104 - refused
def test_the_network_needs_a_key(host: str) -> None:
    """Another address requires a key: 77."""
    with pytest.raises(Fatal, match="PROXY_API_KEY") as verdict:
        listener.refuse_unsafe(host, has_key=False)
    assert verdict.value.exit_status is Exit.NO_PERMISSION
    listener.refuse_unsafe(host, has_key=True)


def test_wildcards_are_reached_by_loopback() -> None:
    """The URL of a listener on all addresses has the loopback address."""
    assert listener.url_of("0.0.0.0", 1) == "http://127.0.0.1:1"  # noqa: S104
    assert listener.url_of("::", 1) == "http://[::1]:1"
