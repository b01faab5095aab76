"""The files that are kept as evidence of a foreign server: logs of limited size, without secrets."""

from __future__ import annotations

import base64
import contextlib
import re
import stat
from pathlib import Path

from lumen_conformance.processes.capped_output import LOG_BYTES, format_mark, read_begin, read_end
from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.registry.regular_files import list_regular_files

# Bytes within JSON: four characters stand for three bytes. Of a request the first 30 are a line without a secret.
_BASE64 = re.compile(rb'(?<=")(?:[A-Za-z0-9+/]{4}){10,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(?=")')


def cut_and_mask(folder: Path, mask: Redactor) -> None:
    """Cut large files and mask secrets in each file of a launch whose server has ended."""
    for path in list_regular_files(folder):
        with contextlib.suppress(OSError):
            _write(path, mask.content(_cut(path)))


def mask_all(folder: Path, mask: Redactor) -> None:
    """Mask secrets in each file of a run that has ended, also in coded bytes of records; large files are no logs."""
    for path in list_regular_files(folder):
        with contextlib.suppress(OSError):
            if path.stat().st_size <= LOG_BYTES:
                _write(path, mask.content(_mask_coded(path.read_bytes(), mask)))


def _cut(path: Path) -> bytes:
    """Return the content of a file, without its middle if it is too large."""
    with path.open("rb") as file:
        if (size := path.stat().st_size) <= LOG_BYTES:
            return file.read()
        begin, end = read_begin(file), read_end(file)
    return begin + format_mark(size - len(begin) - len(end), "here") + end


def _mask_coded(data: bytes, mask: Redactor) -> bytes:
    def replaced(found: re.Match[bytes]) -> bytes:
        before = base64.b64decode(found[0])
        after = mask.content(before)
        return found[0] if after == before else base64.b64encode(after)

    return _BASE64.sub(replaced, data)


def _write(path: Path, data: bytes) -> None:
    """Write a file that has changed, even if it is read-only."""
    if path.read_bytes() != data:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
        path.write_bytes(data)
