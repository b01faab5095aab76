"""The program of the reaper: it waits for the end of standard input, then kills the processes of a run.

Usage: ``reaper_program.py TAG_PREFIX FILE``, with the folder that holds the package on ``PYTHONPATH``. The killed
processes are named in FILE.
"""

from __future__ import annotations

import sys
from pathlib import Path

ORDERLY = b"orderly"
KILL_ROUNDS = 20  # each round ends all that was there when it began; a shell whose child is killed starts another


def main(tag_prefix: str, file: Path) -> None:
    """Read until the pytest process ends, then kill everything with such a tag, unless the run ended in order."""
    if sys.stdin.buffer.read() != ORDERLY:
        kill_tagged(tag_prefix, file)


def kill_tagged(tag_prefix: str, file: Path) -> None:
    """Kill every process whose tag begins with `tag_prefix`."""
    # A run that ends in order does not need these modules: they take 0.1 s.
    from lumen_conformance.processes.process_tree import find_tagged, kill_all  # noqa: PLC0415

    for _ in range(KILL_ROUNDS):
        if not (left := find_tagged(tag_prefix)):
            return
        with file.open("a", encoding="utf-8") as lines:  # before the kill: so a process is found in the file or running
            lines.writelines(f"pid {ref.pid} ({tag}): {ref.command_line()}\n" for ref, tag in left.items())
        kill_all(left)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
