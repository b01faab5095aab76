"""Stack dumps: which lines belong to one, and what a summary of one shows."""

from __future__ import annotations

import faulthandler
import io
import json
import os
import tempfile
import threading

import pytest

from lumen_proxy.ipc import Message, Ready, encode, messages
from lumen_proxy.supervisor.spawn import MessageLines
from lumen_proxy.supervisor.stack_dump import DUMP_BYTES, FRAMES, STACKS, StackDump, shorten

DUMP = b"""\
Thread 0x00007f0000000002 (most recent call first):
  File "/usr/lib/python3.12/threading.py", line 355 in wait
  File "/home/lee/.venv/lib/python3.12/site-packages/waitress/task.py", line 70 in handler_thread

Thread 0x00007f0000000003 [log] (most recent call first):
  File "/usr/lib/python3.12/threading.py", line 355 in wait
  File "/home/lee/.venv/lib/python3.12/site-packages/waitress/task.py", line 70 in handler_thread

...

Current thread 0x00007f0000000001 (most recent call first):
  File "/home/lee/secret-project/lumen_proxy/worker/http/server.py", line 203 in _turn
  File "/home/lee/secret-project/start me.py", line ??? in <module>
  File "<frozen runpy>", line 88 in _run_code
"""


def dump_of(text: bytes) -> StackDump:
    """A dump that has received these lines, all of which belong to it."""
    dump = StackDump()
    assert all(dump.add(line) for line in text.splitlines(keepends=True))
    return dump


def test_a_summary_has_module_line_and_function() -> None:
    """One line a stack, the serving loop's first, equal ones counted; no path beyond the module is left."""
    assert dump_of(DUMP).summary() == [
        "lumen_proxy/worker/http/server.py:203 _turn < start me.py:??? <module> < <frozen runpy>:88 _run_code",
        "2 threads: threading.py:355 wait < waitress/task.py:70 handler_thread",
    ]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/a/b/lib/python3.13t/json/decoder.py", "json/decoder.py"),
        ("/a/lumen_proxy/venv/lib/python3.12/site-packages/lumen_proxy/ipc.py", "lumen_proxy/ipc.py"),
        ("/usr/lib/python3/dist-packages/flask/app.py", "flask/app.py"),
        (r"C:\Users\lee\Lib\site-packages\flask\app.py", "flask/app.py"),
        ("/home/lee/private/sitecustomize.py", "sitecustomize.py"),
        ("<string>", "<string>"),
    ],
)
def test_a_path_is_shortened(path: str, shown: str) -> None:
    """It begins with its package, or is the name alone."""
    assert shorten(path) == shown


def test_messages_pass_a_dump() -> None:
    """The messages of a worker are read as if no dump stood between them, and nothing is reported."""
    stream, dump = encode(Ready()) + DUMP + encode(Ready()) + b'  File "cut', StackDump()
    reported: list[str] = []
    with MessageLines(io.FileIO(_file_of(stream)), dump) as lines:
        found: list[Message] = list(messages(lines, reported.append))
    assert (found, reported) == ([Ready(), Ready()], [])
    assert len(dump.summary()) == 2


def _file_of(content: bytes) -> int:
    """A descriptor from which the content is read."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return os.dup(file.fileno())


@pytest.mark.parametrize("line", [b"{}\n", b"\n", b"File x\n", b"Thread is here\n"])
def test_another_line_is_no_dump(line: bytes) -> None:
    """It stays a message, or the invalid one that it is."""
    assert not StackDump().add(line)


def test_a_summary_is_bounded() -> None:
    """A deep recursion and many different stacks are cut; so is what is kept of an endless dump."""
    frame = b'  File "/x/y.py", line %d in recurse\n'
    many = b"".join(b"Thread 0x%x (most recent call first):\n" % n + frame % n * 100 for n in range(1, 2 * STACKS))
    found = dump_of(many).summary()
    assert len(found) == STACKS
    assert {line.count(" < ") for line in found} == {FRAMES - 1}
    endless = dump_of(many * 100)
    assert endless.size <= DUMP_BYTES + len(many)


def test_the_format_of_this_python_is_understood() -> None:
    """`faulthandler` of this interpreter writes what the summary reads, and no text of a variable."""
    word = "canary of a user"
    waiting, release = threading.Event(), threading.Event()

    def compute(question: str) -> None:
        waiting.set()
        release.wait()
        assert question

    thread = threading.Thread(target=compute, args=(word,))
    thread.start()
    waiting.wait()
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        content = file.read()
    release.set()
    thread.join()
    summary = json.dumps(dump_of(content).summary())
    assert "in compute" in content.decode()
    assert "test_supervisor_stack_dump.py" in summary
    assert " compute" in summary
    assert word not in summary
