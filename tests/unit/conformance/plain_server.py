"""A small foreign server: it answers each request with 200 and its environment.

Usage: ``plain_server.py PORT [MODE]``

The modes:
``goes-out``  connects beyond loopback
``daemon``    serves in a new session after the end of the launched process
``nameless``  the same in the old session, without any environment
``leaves``    starts a process that outlives it
``hasty``     ends that process after SIGTERM, unless a second signal comes meanwhile
``stubborn``  ignores SIGTERM
``SECONDS``   is ready after this time
``floods``    prints 200 MB before it serves
``endless``   prints as long as it serves
``no-http``   sends a header without a colon
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[2] if len(sys.argv) > 2 else ""
LINE = b"x" * 99 + b"\n"
FLOOD_LINES = 2_000_000
LINES_AT_ONCE = 1_000
STOPS_S = 0.5  # the suite would send a second signal within milliseconds


class PlainHandler(BaseHTTPRequestHandler):
    """One connection that stays open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with PID and environment."""
        data = json.dumps({"pid": os.getpid(), "environ": dict(os.environ)}).encode()
        if key := self.headers["Authorization"]:
            print("asked with", key.removeprefix("Bearer "), flush=True)  # noqa: T201 -- as a careless server does
        if MODE == "no-http":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nServer plain\r\n\r\n")
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name of the base class
        """Log nothing."""


def flood(lines: int | None) -> None:
    """Print this number of lines, or lines without end."""
    while lines is None or lines > 0:
        sys.stdout.buffer.write(LINE * LINES_AT_ONCE)
        lines = None if lines is None else lines - LINES_AT_ONCE
    print("the flood ends here", flush=True)  # noqa: T201 -- its log


def connect_beyond_loopback() -> socket.socket:
    """Connect a datagram socket to an address without a host (RFC 5737), which sends nothing; it is to stay open."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    try:
        sock.connect(("192.0.2.1", 9))
    except OSError as error:  # a machine without any route
        print(error, flush=True)  # noqa: T201 -- its log
    return sock


def detach(*, nameless: bool) -> None:
    """Continue in a child while the launched process ends with exit status 0 (POSIX)."""
    if os.fork():
        os._exit(0)
    if nameless:
        os.execve(sys.executable, [sys.executable, __file__, sys.argv[1]], {})  # noqa: S606 -- no shell is wanted
    os.setsid()
    if os.fork():
        os._exit(0)


def stop_in_order(server: ThreadingHTTPServer, child: subprocess.Popen[bytes]) -> None:
    """Close the socket, end the child, then end; a second signal meanwhile ends this process at once."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    server.socket.close()
    threading.Event().wait(STOPS_S)
    child.kill()
    child.wait()
    os._exit(0)


def main() -> None:
    """Serve until SIGTERM."""
    if MODE in {"daemon", "nameless"}:
        detach(nameless=MODE == "nameless")
    signal.signal(signal.SIGTERM, lambda *_: None if MODE == "stubborn" else os._exit(0))
    if MODE in {"leaves", "hasty"}:
        child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    print("the word is", os.environ.get("UPSTREAM_WORD"), flush=True)  # noqa: T201 -- as a careless server does
    if MODE == "goes-out":
        beyond = connect_beyond_loopback()  # noqa: F841 -- open as long as this function runs
    elif MODE == "floods":
        flood(FLOOD_LINES)
    elif MODE == "endless":
        threading.Thread(target=flood, args=(None,), daemon=True).start()
    elif MODE.isdigit():
        threading.Event().wait(float(MODE))
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), PlainHandler)
    if MODE == "hasty":
        signal.signal(signal.SIGTERM, lambda *_: stop_in_order(server, child))
    server.serve_forever()


if __name__ == "__main__":
    main()
