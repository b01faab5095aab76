"""A foreign server of several processes, which share the work in several ways.

Usage: ``many_processes.py PORT MODE``. Each answer has the PID of the process that wrote it.

The modes:
``alone``    one process
``forked``   children with the listening socket
``primary``  the parent accepts and passes each connection to a child, like a cluster of Node.js
``closes``   like ``forked``, and each connection ends with its answer
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

WORKERS = 2


class PidHandler(BaseHTTPRequestHandler):
    """One connection that stays open."""

    protocol_version = "HTTP/1.1"
    close_after = False

    def do_GET(self) -> None:
        """Answer with the PID."""
        data = b'{"pid": %d}' % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if self.close_after:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name of the base class
        """Log nothing."""


def pass_connections(listener: socket.socket, channels: list[socket.socket]) -> None:
    """Pass each connection to the next child."""
    while True:
        sock = listener.accept()[0]
        socket.send_fds(channels[0], [b"x"], [sock.fileno()])
        sock.close()
        channels.append(channels.pop(0))


def serve_passed(channel: socket.socket) -> None:
    """Answer on each connection that the parent passes."""
    server = HTTPServer(("127.0.0.1", 0), PidHandler, bind_and_activate=False)
    while True:
        (descriptor,) = socket.recv_fds(channel, 1, 1)[1]
        given = socket.socket(fileno=descriptor)
        threading.Thread(target=PidHandler, args=(given, given.getpeername(), server), daemon=True).start()


def stop(children: list[int]) -> None:
    """End the children, then this process."""
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    port, mode = int(sys.argv[1]), sys.argv[2]
    PidHandler.close_after = mode == "closes"
    server = ThreadingHTTPServer(("127.0.0.1", port), PidHandler)
    children: list[int] = []
    channels: list[socket.socket] = []
    for _ in range(0 if mode == "alone" else WORKERS):
        ours, theirs = socket.socketpair()
        if child := os.fork():
            children.append(child)
            channels.append(ours)
        elif mode == "primary":
            server.socket.close()
            serve_passed(theirs)
        else:
            server.serve_forever()
    signal.signal(signal.SIGTERM, lambda *_: stop(children))
    if mode == "alone":
        server.serve_forever()
    elif mode == "primary":
        pass_connections(server.socket, channels)
    threading.Event().wait()


if __name__ == "__main__":
    main()
