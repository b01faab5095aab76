"""The stack of a hung worker: what `faulthandler` writes at a signal, without paths of this machine.

The worker writes it in C, so it works while another thread has the interpreter. It arrives line by line among the
messages of the worker:

    Thread 0x00007f0d3c9ff6c0 (most recent call first):
      File "/usr/lib/python3.12/threading.py", line 355 in wait
    Current thread 0x00007f0d3d2a9740 (most recent call first):
      File "/home/user/.venv/lib/python3.12/site-packages/lumen_proxy/worker/http/server.py", line 203 in _turn
"""

from __future__ import annotations

import re
from collections import Counter

DUMP_BYTES = 256 * 1024  # a worker with 100 threads of 25 frames, which is all that faulthandler writes
STACKS = 20  # different ones in a summary; idle threads have one in common
FRAMES = 40  # of one stack, the most recent ones
STARTS = (b"Thread 0x", b"Current thread 0x")
FRAME_START = b'  File "'
SEPARATORS = (b"\n", b"  ...\n", b"...\n")  # the dots stand for further frames or threads
FRAME = re.compile(rb'  File "([^"]*)", line (\d+|\?\?\?) in (\S+)$')
PACKAGES = re.compile(r".*[/\\](?:site-packages|dist-packages|python3\.\d+t?)[/\\]|.*[/\\](?=lumen_proxy[/\\])")


class StackDump:
    """The lines of a dump so far. One thread adds, another one reads."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self.size = 0  # bytes so far

    def add(self, line: bytes) -> bool:
        """Keep a line that belongs to a dump; return whether it does."""
        is_separator = line in SEPARATORS and bool(self._lines)
        if not (is_separator or line.startswith((FRAME_START, *STARTS))):
            return False
        if self.size < DUMP_BYTES:
            self.size += len(line)
            self._lines.append(line.rstrip())
        return True

    def summary(self) -> list[str]:
        """One line for each different stack, the main thread first; the most recent call is the first."""
        stacks: list[list[str]] = []
        for line in list(self._lines):
            if line.startswith(STARTS):
                stacks.append([])
            elif (frame := FRAME.match(line)) and stacks:
                path, number, function = (part.decode("ascii", "replace") for part in frame.groups())
                stacks[-1].append(f"{shorten(path)}:{number} {function}")
        counts = Counter(" < ".join(frames[:FRAMES]) for frames in reversed(stacks) if frames)  # in order of insertion
        return [text if count == 1 else f"{count} threads: {text}" for text, count in counts.items()][:STACKS]


def shorten(path: str) -> str:
    """A path from its package on; of any other file the name alone."""
    found = PACKAGES.match(path)
    shown = path[found.end() :] if found else re.split(r"[/\\]", path)[-1]
    return shown.replace("\\", "/")
