"""With ``--keep-bodies DIR`` the bodies that the report cuts are whole in files, without secrets."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.registry.redaction import MASK
from lumen_conformance.report.exchange_evidence import FILES, NOT_KEPT
from tests.fixtures.nested_pytest import NestedPytest, NestedRun, stage, stage_foreign

KEY = "k3y-of-this-run-4242"
LATE = "found-out-later-4242"
LENGTH = 9_000
MODULES = {
    "contract/test_long.py": f'''
    """Long bodies."""
    from lumen_conformance.http.capture import Capture
    from lumen_conformance.registry.redaction import hide
    from lumen_conformance.report.exchange_evidence import record_exchanges
    KEY = os.environ["SERVER_API_KEY"].encode()
    HEAD = b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n"
    def exchange(sent, received):
        return Capture("http://h/v1", HEAD + sent, status=200, raw_head=b"HTTP/1.1 200 OK\\r\\n\\r\\n", body=received,
                       ended="complete")
    LONG = exchange(b"q" * {LENGTH}, b"\\xff" + b"a" * 1_990 + KEY + b"b" * 6_000 + b"{LATE}<script>\\x1b[2J")
    @check("C1-first")
    def test_first(request):
        """It has a long exchange."""
        record_exchanges(request.node, [LONG])
    @check("C2-second")
    def test_second(request):
        """It has the same exchange."""
        record_exchanges(request.node, [LONG])
        hide("{LATE}")
    @check("C3-short")
    def test_short(request):
        """It has a short exchange with a key."""
        record_exchanges(request.node, [exchange(b"{{}}", b"a " + KEY)])
    ''',
}  # fmt: skip
KEEP = ("--keep-bodies=kept", "--record=record.jsonl")
ENVIRON = {"SERVER_API_KEY": KEY}


def exchange(ended: NestedRun, check: str) -> dict[str, Any]:
    """Return the only exchange of a check on the page."""
    (place,) = ended.checks[check]["x"]
    found: dict[str, Any] = ended.data["exchanges"][place]
    return found


def linked(ended: NestedRun, check: str, name: str) -> Path:
    """Return the file to which the page links."""
    address: str = exchange(ended, check)[FILES][name]
    return ended.folder / "reports" / address


@pytest.fixture(scope="module", params=["-n0", "-n2"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """A run that keeps bodies, in one process and in parallel."""
    ended = stage_foreign(tmp_path_factory.mktemp("kept"), MODULES, *KEEP, request.param, **ENVIRON)
    assert ended.status == 0, ended.output
    return ended


def test_all_bytes_are_in_a_file(kept: NestedRun) -> None:
    """The page links to a file with all bytes, also those that are no text; two checks share it."""
    assert linked(kept, "C1-first", "request_body").read_bytes() == b"q" * LENGTH
    response = linked(kept, "C1-first", "body")
    assert response.read_bytes() == b"\xff%s%s%s%s<script>\x1b[2J" % (
        b"a" * 1_990, MASK.encode(), b"b" * 6_000, MASK.encode(),
    )  # fmt: skip
    assert linked(kept, "C2-second", "body") == response
    assert len(list(response.parent.iterdir())) == 2


def test_only_the_user_can_read_it(kept: NestedRun) -> None:
    """The mode of a file is 0600, and that of its folder 0700."""
    file = linked(kept, "C1-first", "body")
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (file, file.parent)]
    assert modes == [0o600, 0o700]
    assert file.parent.parent == kept.folder / "reports" / ".." / "kept"


def test_a_masked_body_says_so(kept: NestedRun) -> None:
    """Page and record name the bodies in which a secret was masked; no part of it is at the place of the cut."""
    masked = {check: exchange(kept, check)["masked"] for check in ("C1-first", "C3-short")}
    assert masked == {"C1-first": ["body"], "C3-short": ["body"]}
    lines = (kept.folder / "record.jsonl").read_text("utf-8").split("\n")
    recorded = [json.loads(line).get("exchange") for line in lines if line]
    assert [each["masked"] for each in recorded if each] == [["body"], ["body"]]
    for text in (kept.html, "\n".join(lines)):
        assert KEY[:6] not in text
        assert LATE not in text


def test_a_short_body_has_no_file(kept: NestedRun) -> None:
    """What is whole on the page is in no file."""
    assert FILES not in exchange(kept, "C3-short")


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    """Without the option nothing is written; the page says that the bodies are cut, and which option keeps them."""
    ended = stage(tmp_path, MODULES, **ENVIRON)
    assert ended.status == 0, ended.output
    found = exchange(ended, "C1-first")
    assert (found["cut"], FILES in found) == (["request_body", "body"], False)
    assert [each.name for each in (tmp_path / "reports").iterdir()] == ["report.html"]
    assert not list(tmp_path.rglob("bodies-*"))
    assert "a run with --keep-bodies DIR keeps all of them" in ended.html


def test_a_joined_report_has_the_files(kept: NestedRun, tmp_path: Path) -> None:
    """A merged report links to copies of the files, a replayed one to the files of the run."""
    source = tmp_path / "run"
    shutil.copytree(kept.folder, source)
    nested = NestedPytest(tmp_path / "joined")
    (nested.folder / "tests").mkdir(parents=True)
    merged = nested.run(f"--replay={source / 'record.jsonl'}", "--replay-copies=reports/parts")
    assert merged.status == 0, merged.output
    copied = linked(merged, "C1-first", "request_body")
    assert copied.resolve().is_relative_to(nested.folder / "reports" / "parts" / "run" / "kept")
    assert copied.read_bytes() == b"q" * LENGTH
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600
    replayed = nested.run(f"--replay={source / 'record.jsonl'}")
    assert linked(replayed, "C1-first", "body").resolve().is_relative_to(source)
    shutil.rmtree(source / "kept")
    gone = nested.run(f"--replay={source / 'record.jsonl'}")
    assert exchange(gone, "C1-first")[FILES] == {"request_body": "", "body": ""}


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file in the place of the folder is an error of usage."""
    (tmp_path / "kept").write_text("mine", "utf-8")
    ended = stage(tmp_path, MODULES, "--keep-bodies=kept/deeper", **ENVIRON)
    assert (ended.status, "--keep-bodies=kept/deeper cannot be written: " in ended.output) == (4, True), ended.output


def test_a_body_that_cannot_be_kept_fails_the_run(tmp_path: Path) -> None:
    """An error while a body is written is on the page and in the terminal, and fails the run."""
    removed = MODULES["contract/test_long.py"].replace("LONG = ", "open('kept', 'w').close()\n    LONG = ")
    ended = stage(tmp_path, {"contract/test_long.py": removed}, "--keep-bodies=kept", **ENVIRON)
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    assert "--keep-bodies=kept cannot be written: " in ended.output
    assert exchange(ended, "C1-first")[NOT_KEPT]
