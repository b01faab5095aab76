"""Read the logs of the evidence for the page: each file once for each group, and only its end.

Secrets are masked, and control characters are escaped. A server can write to these folders, so links are not followed,
and the number of logs is bounded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.registry.regular_files import is_regular, list_regular_files
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report.log_lines import LogClock, Written

# The end of a scenario is usually shorter. A page with 14 scenarios has a few megabytes.
LARGEST_TAIL_BYTES: Final = 32_000
MASKED_BYTES: Final = 8_000  # read before it: a secret that the cut would split is masked as a whole; a key has 3 kB
MOST_LOGS: Final = 50  # of one stage; a crash loop of the proxy has 20
_LOGS: Final = frozenset({".log", ".jsonl"})


@dataclass(frozen=True)
class LogExcerpt:
    """The end of one text file; ``cut_bytes`` is the number of omitted bytes at its beginning.

    ``written``  when each line was written: `log_lines`; empty if nobody knows
    """

    name: str
    text: str
    cut_bytes: int
    written: Sequence[Written] = ()


def read_logs(paths: Iterable[str], mask: Redactor) -> list[LogExcerpt]:
    """Return the logs at the paths of evidence, each file once; a file that cannot be read is omitted."""
    return list({each.name: each for path in paths for each in _excerpts(Path(path), mask)}.values())


def _excerpts(path: Path, mask: Redactor) -> Iterator[LogExcerpt]:
    """Yield the first logs at a path, each with a name that is unique among scenarios and variants."""
    files, clock = _files(path), LogClock(path)
    for file in files[:MOST_LOGS]:
        parts = (path.parent.name, path.name, *file.relative_to(path).parts)
        if (log := _read(file, "/".join(parts), clock, mask)) and log.text:
            yield log
    if (more := len(files) - MOST_LOGS) > 0:
        yield LogExcerpt(f"{path.name}: {more} more", "They are in the folder of the evidence.", 0)


def _files(path: Path) -> list[Path]:
    """Return the logs at a path, or below it, without those that are empty; the suite's own are not deep."""
    if not path.is_dir():
        return [path] if is_regular(path) else []
    logs = [each for each in list_regular_files(path) if each.suffix in _LOGS and each.stat().st_size]
    return sorted(logs, key=lambda each: (len(each.parts), each))


def _read(path: Path, name: str, clock: LogClock, mask: Redactor) -> LogExcerpt | None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LARGEST_TAIL_BYTES - MASKED_BYTES))
            content = file.read(LARGEST_TAIL_BYTES + MASKED_BYTES)
    except OSError:
        return None
    if len(content) < size:
        content = whole = _without_partial_line(content)
        content = mask.content("…".encode() + content).removeprefix("…".encode())
    else:
        whole, content = content, mask.content(content)
    is_aligned = content.count(b"\n") == whole.count(b"\n")  # else a secret of several lines is masked
    written = clock.written(path, whole, size - len(whole)) if is_aligned else []
    if size > LARGEST_TAIL_BYTES:
        content = _without_partial_line(content[-LARGEST_TAIL_BYTES:])
    text = visible(content.decode("utf-8", "replace"))
    shown = text.lstrip()
    lines = written[-text.count("\n") - 1 :][text[: len(text) - len(shown)].count("\n") :]
    return LogExcerpt(name, shown.rstrip(), max(0, size - LARGEST_TAIL_BYTES), lines[: shown.rstrip().count("\n") + 1])


def _without_partial_line(content: bytes) -> bytes:
    return content.partition(b"\n")[2] or content
