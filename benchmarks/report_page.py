"""The page of a run: how large it is, how long it takes to write, and how soon a reviewer can use it.

    python benchmarks/report_page.py RECORD... [--json]

Each RECORD is a file of --record, or several with + between them for one page, such as of all tests:
contract/record.jsonl+recovery/record.jsonl. Its page is written as --replay does, and opened ROUNDS times in headless
Chromium from a local file: until the data are read, and until the first click on a filter is shown. The median counts.
The figures of the last run are kept beside this file in report_page.json, with the load of the machine.
Exit status: 0 when each page is within its limits, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIGURES = Path(__file__).with_suffix(".json")
ROUNDS = 5
MOST_BYTES = 2_000_000  # a reviewer gets it by mail
MANY_FAILURES, MOST_BYTES_OF_MANY = 500, 3_000_000
USABLE_S = 1.0  # longer, and the flow of thought is interrupted (Nielsen, Usability Engineering, 5.5)
SHARE_OF_RUN = 0.05  # of the run, for writing the page
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")  # CI runs as root
CLICK = """
    async () => {
        const loaded_s = performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd / 1000;
        const began = performance.now();
        document.querySelector('[data-outcome]').click();
        await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
        return { loaded_s, ready_s: window.ready_s, click_s: (performance.now() - began) / 1000 };
    }
"""
WATCH = """
    new MutationObserver(() => {
        const page = document.documentElement;
        if (page && page.dataset.ready) window.ready_s ??= performance.now() / 1000;
    }).observe(document, { attributes: true, subtree: true });
"""


class PageTimes:
    """A plugin that measures how long a page takes: reading its evidence, and writing it."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def pytest_configure(self) -> None:
        """Measure the methods of the page. pytest has imported the suite by now, with its assertions rewritten."""
        from lumen_conformance.report.page import Page  # noqa: PLC0415 -- same

        for name in ("read_evidence", "write"):
            setattr(Page, name, self._timed(getattr(Page, name)))

    def _timed(self, method: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:  # noqa: ANN401 -- those of the method
            began_s = time.monotonic()
            method(*arguments)
            self.spent_s += time.monotonic() - began_s

        return call


def write(records: list[str], page: Path) -> float:
    """Write the page of these records; return the seconds that reading the evidence and writing took."""
    import pytest  # noqa: PLC0415 -- the environment of the browser has none

    sys.path.insert(0, str(ROOT))
    times = PageTimes()
    replays = [f"--replay={each}" for each in records]
    pytest.main([*replays, f"--html={page}", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"], plugins=[times])
    return times.spent_s


def open_page(page: Path) -> dict[str, float]:
    """Open the page in a new browser profile; return how long everything took."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only the environment of the browser has it

    rounds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(ROUNDS):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            context.add_init_script(WATCH)
            tab = context.new_page()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")
            rounds.append(tab.evaluate(CLICK))
            context.close()
        browser.close()
    whole = [max(each["loaded_s"], each["ready_s"]) + each["click_s"] for each in rounds]
    return {"loaded_s": median(each["loaded_s"] for each in rounds), "usable_s": median(whole)}


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Return the figures of one page."""
    from tests.contract.clients.versions import PYTHON  # noqa: PLC0415 -- the environment of the browser has none of it

    records, page = [Path(each).resolve() for each in name.split("+")], folder / "report.html"
    heads = [json.loads(each.read_text("utf-8").partition("\n")[0])["run"] for each in records]
    ran_s = max(each["duration_s"] for each in heads)
    command = [sys.executable, __file__, "--write", str(page), *map(str, records)]
    written = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    write_s = float(written.stdout.strip().splitlines()[-1])
    failed = int(sum('"outcome": "failed"' in line for each in records for line in each.read_text("utf-8").split("\n")))
    opened = subprocess.run(
        [str(PYTHON), __file__, "--open", str(page)], stdout=subprocess.PIPE, text=True, check=True, cwd=folder
    )
    return {
        "page": " + ".join(each.parent.name for each in records),
        "tests": sum(len(each["expected"]) for each in heads),
        "failed": failed,
        "bytes": page.stat().st_size,
        "run_s": round(ran_s, 1),
        "write_s": round(write_s, 2),
        **{key: round(value, 3) for key, value in json.loads(opened.stdout).items()},
    }


def is_within_limits(row: dict[str, Any]) -> bool:
    """Return whether a page is small, soon written and soon usable."""
    most_bytes = MOST_BYTES_OF_MANY if row["failed"] >= MANY_FAILURES else MOST_BYTES
    soon = row["usable_s"] <= USABLE_S and row["write_s"] <= SHARE_OF_RUN * row["run_s"]
    return bool(soon and row["bytes"] <= most_bytes)


def main() -> int:
    """Measure each page, keep the figures, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="*", metavar="RECORD")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        print(write(options.records, options.write))
        return 0
    if options.open:
        print(json.dumps(open_page(options.open)))
        return 0
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(each, Path(folder)) for each in options.records]
    result = {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
        "rounds": ROUNDS,
        "rows": rows,
    }
    FIGURES.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    if options.json:
        print(json.dumps(result, indent=2))
    for row in rows:
        word = "within its limits" if is_within_limits(row) else "ABOVE ITS LIMITS"
        print(f"{row['page']}: {word}: {row}")
    return 0 if all(map(is_within_limits, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
