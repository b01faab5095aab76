"""Make the pictures of the report anew; a program for the environment of the clients, which has Playwright.

``report.py RECOVERY FAILURE MERGED``: the pages of a recovery run, of one with a mutation
(`pytest -m "scenario(n=1)" --mutation=restarts-too-late`), and of three merged shards of a contract run against
`tests/fixtures/original.py`.
"""

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")  # CI runs as root


class Picture(NamedTuple):
    """One picture: its file, the number of its page, width and height in pixels, colours, and the part of the page."""

    name: str
    page: int
    width: int
    height: int
    colours: str = "light"
    fragment: str = ""


PICTURES = (
    Picture("../report.png", 0, 1280, 860),
    Picture("report-passed.png", 0, 1280, 900, fragment="#1.4-automatic-restart"),
    Picture("report-dark.png", 0, 1280, 860, "dark", "#7"),
    Picture("report-recovery-failure.png", 1, 1280, 1000),
    Picture("report-causes.png", 2, 1280, 900),
    Picture("report-merged.png", 2, 1280, 900, "dark", "#checks"),
    Picture("report-phone.png", 2, 390, 844),
)


def main(*pages: str) -> None:
    """Open each page and take its pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for each in PICTURES:
            size = {"width": each.width, "height": each.height}
            page = browser.new_context(locale="en-US", viewport=size, color_scheme=each.colours).new_page()
            page.goto(Path(pages[each.page]).resolve().as_uri() + each.fragment)
            page.wait_for_selector("h1, h2")
            page.screenshot(path=FOLDER / each.name)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
