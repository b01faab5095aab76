"""A server that is not ours, in few lines: it answers each request with 200 and the environment that it runs in.

Usage: ``plain_server.py PORT [goes-out | SECONDS]``: it asks for a way beyond loopback, or is ready so much later.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[2] if len(sys.argv) > 2 else ""


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Who answers, and with what environment."""
        data = json.dumps({"pid": os.getpid(), "environ": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name of the base class
        """Say nothing."""


def go_out() -> None:
    """Ask for the way to an address that nobody has (RFC 5737): a connect of a datagram socket sends nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError as error:  # a machine without any route
            print(error, flush=True)  # noqa: T201 -- its log


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("the word is", os.environ.get("UPSTREAM_WORD"), flush=True)  # noqa: T201 -- as a careless server does
    if MODE == "goes-out":
        go_out()
    elif MODE:
        threading.Event().wait(float(MODE))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
