"""The exchanges of a check in the report, and with ``--keep-bodies DIR`` files with the bodies that the report cuts.

The files are in a new folder of DIR for each run. Secrets are masked in them as in the report. Only the user of the run
can read them. Their names come from their content, so parallel workers and checks share them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import cached_on_capture
from lumen_conformance.http.exchange_record import exchange_record, readable_body
from lumen_conformance.registry.measurement import EXCHANGE, IS_READ, record
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report import output_paths, report_redaction, shared_files
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.results import RESULTS, properties
from lumen_conformance.run import run_of

OPTION: Final = "--keep-bodies"
MOST_EXCHANGES: Final = 3  # of one check
NEEDS_GATEWAY: Final = "The gateway of the suite is needed to see it: run the check again instead."
NEEDS_SEVERAL: Final = "Several requests are needed to see it: run the check again instead."
FILES, NOT_KEPT = "files", "not_kept"  # in the record of an exchange
Exchange = dict[str, Any]


def configure(config: pytest.Config) -> None:
    """Refuse a folder that cannot be made; none is made before a body is cut."""
    if (folder := output_paths.given(config, OPTION)) and shared_files.reports(config):
        existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            raise pytest.UsageError(f"{OPTION}={folder} cannot be written: {existing} is no folder that you can change")


def record_exchanges(
    item: pytest.Item, captures: Sequence[Capture], beside: Callable[[Capture], Exchange] = lambda _: {}
) -> None:
    """Record the exchanges of a check, if somebody reads them, and keep the bodies that the records cut.

    ``beside``  returns more fields of a record
    """
    if IS_READ in item.config.stash:
        for each in captures[:MOST_EXCHANGES]:
            record(item, EXCHANGE, _kept(item.config, each) | beside(each))


def remark_on_curl(entry: ReportEntry, exchanges: Sequence[Exchange]) -> str:
    """Return why one request alone does not show the failure of a check; empty if it does."""
    if entry.gateway:
        return NEEDS_GATEWAY
    return NEEDS_SEVERAL if len(exchanges) > 1 else ""


@cached_on_capture
def _record(capture: Capture) -> Exchange:
    return exchange_record(capture, redactor().content)


def _kept(config: pytest.Config, capture: Capture) -> Exchange:
    """Return the record of an exchange with the files of its bodies that are cut."""
    found = _record(capture)
    base = output_paths.given(config, OPTION)
    if not (base and found["cut"]):
        return found
    folder = base.absolute() / f"bodies-{run_of(config).id}"
    bodies = {"request_body": capture.request_body, "body": readable_body(capture)}
    try:
        return found | {FILES: {name: str(_write(folder, name, bodies[name])) for name in found["cut"]}}
    except OSError as error:
        return found | {NOT_KEPT: error.strerror or str(error)}


def _write(folder: Path, name: str, body: bytes) -> Path:
    """Write a body to a file that a browser shows as text, whatever the body is; return the file."""
    masked = redactor().content(body)
    kind = "request" if name == "request_body" else "response"
    path = folder / f"{kind}-{hashlib.sha256(masked).hexdigest()[:16]}.txt"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        with suppress(FileNotFoundError):
            unfinished.unlink()
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(masked)
        unfinished.replace(path)
    return path


def with_files(exchange: Exchange, change: Callable[[Path], str]) -> Exchange:
    """Return the record of an exchange with other paths of its files."""
    files = exchange.get(FILES)
    return exchange | {FILES: {name: change(Path(path)) for name, path in files.items()}} if files else exchange


def complete(session: pytest.Session) -> None:
    """Mask what was found to be secret after a file was written; raises OSError if a body could not be kept."""
    config = session.config
    if not (base := output_paths.given(config, OPTION)):
        return
    report_redaction.receive_secrets(config)
    for path in (base / f"bodies-{run_of(config).id}").glob("*.txt"):
        content = path.read_bytes()
        if (masked := redactor().content(content)) != content:
            path.write_bytes(masked)
    results = config.stash[RESULTS]
    exchanges = (one for each in results.entries for one in properties(results.reports_of(each), EXCHANGE))
    if lost := next((each[NOT_KEPT] for each in exchanges if NOT_KEPT in each), None):
        raise OSError(0, lost)
