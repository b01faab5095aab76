"""Run the pages of ``clients/browser`` in headless Chromium.

``chromium.py QUESTIONS RESULTS``: the first file maps the host of a page to its questions, the results are written to
the second file under the same names. This process serves the pages on a loopback port. `FOREIGN` names resolve to
loopback, other names do not resolve.
"""

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from playwright.sync_api import sync_playwright

CLIENTS = Path(__file__).resolve().parents[1]
FOREIGN = "*.example"
FLAGS = (
    "--no-sandbox",  # CI runs as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


class Handler(SimpleHTTPRequestHandler):
    """Serves the page, and the installed OpenAI library under ``/openai/``."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

    def translate_path(self, path: str) -> str:
        """The file of a URL path."""
        self.directory = str(CLIENTS / ("node/node_modules" if path.startswith("/openai/") else "browser"))
        return super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def page_server() -> Iterator[int]:
    """Serve the pages; yields the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def main(questions: str, results: str) -> None:
    """Open one page after another; each sends all its questions at once."""
    with page_server() as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        output = {"version": browser.version, "results": {}}
        for host, asked in json.loads(Path(questions).read_text("utf-8")).items():
            page = browser.new_page()
            page.goto(f"http://{host}:{port}/")
            page.wait_for_function("() => Boolean(globalThis.askAll)")
            output["results"] |= page.evaluate("(questions) => askAll(questions)", asked)
        browser.close()
    Path(results).write_text(json.dumps(output), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
