"""What the documents say is what the suite has."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_conformance.cli.list_checks import read
from lumen_conformance.report.selection import SEVENTEEN
from tests.fixtures.suite_subprocess import run

ROOT = Path(__file__).resolve().parents[2]
COLLECTED = re.compile(r"^(?P<file>tests/\w+/(?P<module>\w+)\.py)::(?P<test>\w+)\[(?P<id>[^\]]+)\]$", re.MULTILINE)
SMOKE = {  # what a quick look must have of the contract, by the beginning of the check ids
    "chat": ("C1", "C2", "C4"),
    "stream": ("D1", "D2", "D3", "E1", "E2", "E3"),
    "error envelope": ("F1",),
    "health": ("H4-health",),
}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> list[re.Match[str]]:
    """The ids of ``-m smoke``, as pytest itself collects them."""
    collected = run(tmp_path_factory.mktemp("smoke"), "-m", "smoke", "--collect-only", "-q", tests=["tests"])
    assert collected.status == 0, collected.output
    return list(COLLECTED.finditer(collected.output))


def numbered(smoke: list[re.Match[str]]) -> list[re.Match[str]]:
    """Those of the seventeen."""
    return [one for one in smoke if one["id"].partition("-")[0] in SEVENTEEN]


def test_smoke_has_all_seventeen(smoke: list[re.Match[str]]) -> None:
    """The quick selection has every one of the seventeen, once."""
    assert sorted(one["id"].partition("-")[0] for one in numbered(smoke)) == sorted(SEVENTEEN)


@pytest.mark.parametrize("ids", SMOKE.values(), ids=SMOKE)
def test_smoke_has_something_of_each(smoke: list[re.Match[str]], ids: tuple[str, ...]) -> None:
    """The quick selection looks at a chat answer, a stream, an error and health, at each from every side named here."""
    assert [each for each in ids if not any(one["id"].startswith(each) for one in smoke)] == []


@pytest.mark.parametrize("script", ["readme", "catalogue"])
def test_generated_files_are_up_to_date(script: str) -> None:
    """What `make docs` generates is committed as it is generated."""
    command = [sys.executable, "-m", f"docs.{script}", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_check_has_its_own_claim() -> None:
    """`lumen-conformance list` shows no claim twice: a check of many rows names its row."""
    claims = Counter(check["claim"] for check in read())
    assert [claim for claim, checks in claims.items() if checks > 1] == []


def test_each_check_has_a_source() -> None:
    """Each check names the document that demands it."""
    assert [check["id"] for check in read() if not check["source"]] == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """The links of a page to files or headings that do not exist."""
    for link in re.findall(r"\]\(([^):]+)\)", page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield f"{page.relative_to(ROOT)}: {link}"


def test_links_lead_somewhere() -> None:
    """Every file and heading that a document links to is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert sorted(link for page in pages for link in broken_links(page)) == []


def test_named_files_exist() -> None:
    """Each file or folder that a document names exists: from the root, or below lumen_proxy; NN stands for a number."""
    top = "tests|lumen_proxy|lumen_conformance|benchmarks|docs|deploy"
    below = "|".join(path.name for path in (ROOT / "lumen_proxy").iterdir() if path.is_dir())
    pages = [path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if path.name != "CHANGELOG.md"]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(rf"`((?:{top}|{below})/[\w./-]+)`", page.read_text("utf-8"))
        if "NN" not in name
    }
    assert len(named) > 100
    places = (ROOT, ROOT / "lumen_proxy")
    lost = [
        each for each in named if not any((place / (each[1] + end)).exists() for place in places for end in ("", ".py"))
    ]
    assert sorted(lost) == []


def test_sources_of_checks_exist() -> None:
    """Each file of this repository that a check names as its source exists."""
    named = {name for check in read() for name in re.findall(r"[\w./-]+/[\w.-]+\.(?:md|json|py)", check["source"])}
    assert named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("command", ["recovery", "test", "smoke", "lint", "demo", "help"])
def test_commands_in_the_readme(command: str) -> None:
    """Each make command of the README is a target of the Makefile."""
    assert f"make {command}" in (ROOT / "README.md").read_text("utf-8")
    assert f"\n{command}:" in (ROOT / "Makefile").read_text("utf-8")
