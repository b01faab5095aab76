"""The evidence of a foreign server is kept without its secrets, and without the middle of a log that is too large."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path

import pytest

from lumen_conformance.processes import evidence_files
from lumen_conformance.processes.capped_output import KEPT_BYTES, LOG_BYTES
from lumen_conformance.registry.redaction import MASK, Redactor
from tests.fixtures.nested_pytest import read_page
from tests.fixtures.suite_subprocess import SuiteRun as Ended
from tests.fixtures.suite_subprocess import run as judged
from tests.unit.conformance import plain_server

KEY, WORD = "plugh-of-the-server", "xyzzy-of-upstream"
SECRETS = (KEY.encode(), WORD.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for the evidence of a run."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def ended(folder: Path) -> Ended:
    """A server that prints 200 MB, its secret and the key of a request, judged by a parallel worker."""
    options = (
        f"--proxy-command='{sys.executable}' '{plain_server.__file__}' {{port}} floods",
        f"--proxy-env=UPSTREAM_WORD={WORD}", f"--proxy-api-key={KEY}", f"--evidence-dir={folder / 'evidence'}",
        "--proxy-can=health", "-k", "4.1", "-n1",
    )  # fmt: skip
    return judged(folder, *options, tests=("tests/recovery/test_04_functional.py",))


def kept(folder: Path) -> dict[Path, bytes]:
    """Return every file of the evidence."""
    return {path: path.read_bytes() for path in (folder / "evidence").rglob("*") if path.is_file()}


def test_no_secret_is_kept(ended: Ended, folder: Path) -> None:
    """No log, record or other file of the evidence has a secret, not even in coded bytes within JSON."""
    assert ended.ids("passed", "failed"), ended.output
    files = kept(folder)
    assert [path for path, data in files.items() if any(secret in plain(data) for secret in SECRETS)] == []
    logs = b"".join(data for path, data in files.items() if path.name == "stdout.log")
    assert f"the word is {MASK}\n".encode() in logs
    assert f"asked with {MASK}\n".encode() in logs


def plain(data: bytes) -> bytes:
    """Return the bytes of a file, with its base64 texts decoded."""
    coded = re.findall(rb'"((?:[A-Za-z0-9+/]{4}){6,}[A-Za-z0-9+/]{0,3}={0,2})"', data)
    return b"\n".join([data, *(base64.b64decode(each) for each in coded if len(each) % 4 == 0)])


def test_no_log_is_too_large(ended: Ended, folder: Path) -> None:
    """Logs have at most their largest size, and the report says that output is left out."""
    sizes = {path: len(data) for path, data in kept(folder).items() if path.suffix == ".log"}
    assert max(sizes.values()) > KEPT_BYTES, ended.output
    assert [path for path, size in sizes.items() if size > LOG_BYTES] == []
    assert "bytes of output are left out in the middle of this log" in read_page(folder / "report.html")


def test_files_that_the_server_has_written(tmp_path: Path) -> None:
    """The files of the server are masked and cut, even read-only ones; a file behind a link is not changed."""
    own, other = tmp_path / "launch", tmp_path / "other"
    (own / "log").mkdir(parents=True)
    other.write_text(f"key {KEY}\n")
    (own / "link").symlink_to(other)
    os.link(other, own / "hard-link")
    (own / "config").write_bytes(b"\xff key " + KEY.encode())
    (own / "config").chmod(0o400)
    (own / "log" / "own.log").write_bytes(b"begin\n" + b"x" * LOG_BYTES + b"\n" + KEY.encode() + b" end\n")
    evidence_files.cut_and_mask(own, Redactor([KEY]))
    assert other.read_text() == f"key {KEY}\n"
    assert (own / "config").read_bytes() == b"\xff key " + MASK.encode()
    log = (own / "log" / "own.log").read_bytes()
    assert len(log) <= LOG_BYTES
    assert log.startswith(b"begin\n")
    assert log.endswith(f"\n{MASK} end\n".encode())


def test_bytes_within_records(tmp_path: Path) -> None:
    """Coded bytes in a record are masked, and all its other texts stay as they are."""
    request = base64.b64encode(f"GET / HTTP/1.1\r\nX: {KEY}\r\nAccept: */*\r\n\r\n".encode()).decode()
    text = '"a/word/that/looks/like/base64/and/is/a/path/of/a/fileR=="'
    record = tmp_path / "record.json"
    record.write_text(f'{{"request": "{request}", "path": {text}}}')
    evidence_files.mask_all(tmp_path, Redactor([KEY]))
    found = record.read_text()
    assert text in found
    assert KEY.encode() not in plain(found.encode())
    assert b"\r\nAccept: */*\r\n" in plain(found.encode())
