"""Read the logs of the evidence for the page: each file once for each group, and only its end.

Secrets are masked, and control characters are escaped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.registry.visible_text import visible

# The end of a scenario is usually shorter. A page with 14 scenarios has a few megabytes.
LARGEST_TAIL_BYTES: Final = 32_000
_LOGS: Final = frozenset({".log", ".jsonl"})


@dataclass(frozen=True)
class LogExcerpt:
    """The end of one text file; ``cut_bytes`` is the number of omitted bytes at its beginning."""

    name: str
    text: str
    cut_bytes: int


def read_logs(paths: Iterable[str], mask: Redactor) -> list[LogExcerpt]:
    """Return the logs at the paths of evidence, each file once; a file that cannot be read is omitted."""
    files = {file: name for path in paths for file, name in _files(Path(path))}
    return [log for file, name in files.items() if (log := _read(file, name, mask)) and log.text]


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the logs at a path, or below it, each with a name that is unique among scenarios and variants."""
    if path.is_dir():
        logs = sorted(each for each in path.rglob("*") if each.suffix in _LOGS and each.is_file())
        yield from ((each, "/".join((path.parent.name, path.name, *each.relative_to(path).parts))) for each in logs)
    elif path.is_file():
        yield path, f"{path.parent.name}/{path.name}"


def _read(path: Path, name: str, mask: Redactor) -> LogExcerpt | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    tail = content[-LARGEST_TAIL_BYTES:].decode("utf-8", "replace")
    return LogExcerpt(name, visible(mask.text(tail)).strip(), max(0, len(content) - LARGEST_TAIL_BYTES))
