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
from lumen_conformance.report.log_lines import NO_TIME, LogClock, Written

# The end of a scenario is usually shorter. A page with 14 scenarios has a few megabytes.
LARGEST_TAIL_BYTES: Final = 32_000
MASKED_BYTES: Final = 8_000  # read before it: a secret that the cut would split is masked as a whole; a key has 3 kB
# Of a long log of a stage in which a process has ended: its last lines may be far before the end of the log.
LARGEST_READ_BYTES: Final = 2_000_000
MOST_LOGS: Final = 50  # of one stage; a crash loop of the proxy has 20
_LOGS: Final = frozenset({".log", ".jsonl"})


@dataclass(frozen=True)
class LogExcerpt:
    """The end of one text file; ``cut_bytes`` is the number of omitted bytes at its beginning.

    ``early``    the number of its lines before the end of a process, from the part of the log that is left out
    ``written``  when each line was written: `log_lines`; empty if nobody knows
    """

    name: str
    text: str
    cut_bytes: int
    written: Sequence[Written] = ()
    early: int = 0


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
            is_long = size > LARGEST_TAIL_BYTES and clock.ends
            most = LARGEST_READ_BYTES if is_long else LARGEST_TAIL_BYTES + MASKED_BYTES
            file.seek(max(0, size - most))
            content = file.read(most)
    except OSError:
        return None
    if len(content) < size:
        content = whole = _without_partial_line(content)
        content = mask.content("…".encode() + content).removeprefix("…".encode())
    else:
        whole, content = content, mask.content(content)
    is_aligned = content.count(b"\n") == whole.count(b"\n")  # else a secret of several lines is masked
    written = clock.written(path, whole, size - len(whole)) if is_aligned else []
    every = content
    if size > LARGEST_TAIL_BYTES:
        content = _without_partial_line(content[-LARGEST_TAIL_BYTES:])
    text = visible(content.decode("utf-8", "replace"))
    shown = text.lstrip()
    lines = written[-text.count("\n") - 1 :][text[: len(text) - len(shown)].count("\n") :]
    tail = LogExcerpt(name, shown.rstrip(), max(0, size - LARGEST_TAIL_BYTES), lines[: shown.rstrip().count("\n") + 1])
    return _with_early_lines(tail, every[: len(every) - len(content)].split(b"\n")[:-1], clock, written)


def _with_early_lines(
    tail: LogExcerpt, before: Sequence[bytes], clock: LogClock, written: Sequence[Written]
) -> LogExcerpt:
    """Return the end of a long log with the lines before it that a process wrote last."""
    places = [each for each in clock.lines_before_ends(written) if each < len(before)]
    if not places:
        return tail
    texts, times, last = list[str](), list[Written](), -1
    for place in [*places, len(before)]:
        if place > last + 1:
            texts.append(f"… {place - last - 1} lines …")
            times.append(NO_TIME)
        if place < len(before):
            texts.append(visible(before[place].decode("utf-8", "replace")))
            times.append(written[place])
        last = place
    cut_bytes = tail.cut_bytes - sum(len(before[place]) + 1 for place in places)
    return LogExcerpt(tail.name, "\n".join([*texts, tail.text]), max(0, cut_bytes), [*times, *tail.written], len(texts))


def _without_partial_line(content: bytes) -> bytes:
    return content.partition(b"\n")[2] or content
