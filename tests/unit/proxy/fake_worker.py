"""A worker for tests of the supervisor: it only implements the messages.

The arguments select a fault: `die-at-boot STATUS`, `die-at-promotion TIMES`, `never-imported`, `never-drained`,
`print-before CHARACTERS`. The worker answers each connection with one JSON object: its PID and its generation.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import threading

from lumen_proxy.ipc import Drain, Drained, Imported, Message, Ready, Serve, encode, messages


def send(message: Message) -> None:
    """Send one message to the supervisor. Ends the process if the supervisor has ended."""
    try:
        os.write(1, encode(message))
    except BrokenPipeError:
        os._exit(0)


def serve(command: Serve) -> None:
    """Answer on the given sockets, one connection at a time."""
    body = json.dumps({"pid": os.getpid(), **vars(command), "restarts": command.restarts}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    waiting = selectors.DefaultSelector()
    for listener in command.listeners:
        sock = socket.socket(fileno=listener["fd"])
        waiting.register(sock, selectors.EVENT_READ, sock)
    while True:
        for key, _ in waiting.select():
            connection, _ = key.data.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)


def main(fault: str = "", number: str = "0") -> None:
    """Handle commands until the end of the input, with one fault."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "die-at-boot":
        os._exit(int(number))
    if fault == "never-imported":
        signal.pause()
    if fault == "print-before":
        sys.stdout.write("x" * int(number) + "\n")
        sys.stdout.flush()
    send(Imported(os.getpid()))
    for command in messages(sys.stdin.buffer, sys.exit):
        if isinstance(command, Serve):
            if fault == "die-at-promotion" and command.generation <= int(number):
                os._exit(70)
            threading.Thread(target=serve, args=(command,), daemon=True).start()
            send(Ready())
        elif isinstance(command, Drain) and fault != "never-drained":
            send(Drained(0))
            os._exit(0)
    os._exit(0)  # end of file: the supervisor has ended


if __name__ == "__main__":
    main(*sys.argv[1:])
