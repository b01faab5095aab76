"""What the checks say about a body whose Content-Length is less than its length."""

from __future__ import annotations

import socket
from threading import Thread

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.http.client import call
from lumen_conformance.report.known_causes import EXACT, JudgedCheck
from tests.unit.conformance import samples as s


def test_body_beyond_its_length() -> None:
    """The finding has the length and the bytes that a client does not read, and the cause is named by it."""
    body = s.encoded(s.ANSWER)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        response = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (len(body) - 7)
        Thread(target=_respond, args=(listener, response + body)).start()
        capture = call(f"http://127.0.0.1:{listener.getsockname()[1]}", "POST", "/v1/chat/completions", json={})
    (judge,) = judges("B1.5")
    failure = judge(capture).failure
    assert failure is not None
    assert failure.found.endswith(f"; the body ends at its Content-Length {len(body) - 7}, and 7 more bytes follow")
    cause = next(each for each in EXACT if each.explains(JudgedCheck("B1.5", "B1.5@plain", failure.found)))
    assert cause.sentence == "the Content-Length of an answer is less than the length of its body"


def _respond(listener: socket.socket, response: bytes) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.recv(65_536)
        connection.sendall(response)
