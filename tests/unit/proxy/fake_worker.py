"""A worker that speaks the leash protocol and little else, for trying the supervisor alone.

Arguments say how it misbehaves: `die-at-boot STATUS`, `die-at-promotion TIMES`, `die-when-ready STATUS`,
`never-ready`, `cut N`, `never-drained`. It answers every connection with one line of JSON: its pid and generation.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import threading


def say(**message: object) -> None:
    """Write one event on the leash."""
    os.write(1, json.dumps(message).encode() + b"\n")


def serve(order: dict[str, object]) -> None:
    """Answer on the sockets we were given, one connection at a time."""
    listeners = order["listeners"]
    assert isinstance(listeners, list)
    body = json.dumps({"pid": os.getpid(), **order}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    waiting = selectors.DefaultSelector()
    for listener in listeners:
        sock = socket.socket(fileno=listener["fd"])
        waiting.register(sock, selectors.EVENT_READ, sock)
    while True:
        for key, _ in waiting.select():
            connection, _ = key.data.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)


def main(fault: str = "", number: str = "0") -> None:
    """Live by the leash, with one fault."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "die-at-boot":
        os._exit(int(number))
    if fault == "never-imported":
        signal.pause()
    say(event="imported", pid=os.getpid())
    for line in sys.stdin:
        order = json.loads(line)
        if order["cmd"] == "serve" and fault == "die-at-promotion" and order["generation"] <= int(number):
            os._exit(70)
        if order["cmd"] == "serve":
            threading.Thread(target=serve, args=(order,), daemon=True).start()
            if fault != "never-ready":
                say(event="ready")
            if fault == "die-when-ready":
                os._exit(int(number))
        elif order["cmd"] == "drain" and fault != "never-drained":
            cut = int(number) if fault == "cut" else 0
            say(event="drained", cut=cut)
            os._exit(70 if cut else 0)
    os._exit(0)  # end of file: the supervisor is gone


if __name__ == "__main__":
    main(*sys.argv[1:])
