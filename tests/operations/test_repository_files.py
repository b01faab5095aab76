"""The files for contributors and releases agree with the rest of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = sorted((ROOT / "docs" / "protocol").glob("*.md"))
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
CODE = re.compile(r"`[^`]*`|^\[[^\]]*\]: .*$|\]\([^)]*\)|\[[^\]]*\]", re.MULTILINE)  # code, link texts and addresses
CHECK_ID = re.compile(r"\b[A-H]\d+(?:[.-][\w.…-]*[\w…])?(?![\w.])")
PINNED = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/(?:blob|tree)/[0-9a-f]{7,40}/")
REPORT = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/(?:issues|pull|discussions)/\d+")


def known_ids() -> list[re.Pattern[str]]:
    """The check ids in the tables of contract-checks.md; `…` matches the rows of a check."""
    page = (ROOT / "docs" / "contract-checks.md").read_text("utf-8")
    cells = re.findall(r"^\| ([A-H]\d[^|]*?) \|", page, re.MULTILINE)
    ids = [re.sub(r" \(\d+\)$", "", each) for cell in cells for each in cell.split(", ")]
    return [re.compile(re.escape(each).replace("…", ".+")) for each in ids]


@pytest.mark.parametrize("page", PROTOCOL, ids=lambda page: page.stem)
def test_checks_of_a_fact_exist(page: Path) -> None:
    """Each check that a page about the protocol names exists."""
    named = set(CHECK_ID.findall(CODE.sub("", page.read_text("utf-8"))))
    known = known_ids()
    assert sorted(each for each in named if not any(one.fullmatch(each) for one in known)) == []


@pytest.mark.parametrize("page", PROTOCOL, ids=lambda page: page.stem)
def test_sources_are_pinned(page: Path) -> None:
    """Each link to GitHub names a commit, or it is a report."""
    links = re.findall(r"https://github\.com/[^\s)]+", page.read_text("utf-8"))
    assert [link for link in links if not (PINNED.match(link) or REPORT.match(link))] == []


def test_a_release_uploads_to_no_index() -> None:
    """The release workflow has no permission and no step to publish to a package index."""
    text = RELEASE.read_text("utf-8")
    assert [word for word in ("twine upload", "pypi-publish", "id-token", "secrets.") if word in text] == []
