"""What a client is said to do is what it does, or what a program does with its answer; never what the recorder does."""

from __future__ import annotations

import gc
import importlib.util
import json
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.contract.clients.versions import HERE


@pytest.fixture
def client_runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module that all clients of Python share; it reads its score when it is imported."""
    score = tmp_path / "score.json"
    score.write_text(json.dumps({"bound_s": 10.0}), "utf-8")
    monkeypatch.setattr(sys, "argv", ["client", str(score), str(tmp_path / "told.json")])
    spec = importlib.util.spec_from_file_location("client_runner", HERE / "python" / "client_runner.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "client_runner", module)
    spec.loader.exec_module(module)
    return module


def test_text_that_cannot_be_printed(client_runner: ModuleType) -> None:
    """A program that prints half of a surrogate pair raises; the client has raised nothing."""
    told = client_runner.record_act(lambda: iter(["hello\ud83d"]))
    assert (told["error"]["class"], told["error"]["by"]) == ("builtins.UnicodeEncodeError", "program")


@pytest.mark.parametrize("content", [["a", "b"], 7])
def test_content_of_another_type_is_printed(client_runner: ModuleType, content: object) -> None:
    """The recorder raises nothing for a content that is no text: it tells what `print` shows."""
    told = client_runner.record_act(lambda: iter([content]))
    assert (told["pieces"], told["error"]) == ([str(content)], None)


def test_line_ends_are_kept(client_runner: ModuleType) -> None:
    """A text is told as it is, with every kind of line end."""
    assert client_runner.record_act(lambda: iter(["a\r\nb\nc"]))["pieces"] == ["a\r\nb\nc"]


def test_error_of_a_client(client_runner: ModuleType) -> None:
    """What a client raises is told as the client's."""
    told = client_runner.record_act(lambda: ({"text": name}[name] for name in ["content"]))
    assert (told["error"]["class"], told["error"]["by"]) == ("builtins.KeyError", "client")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # as a client's process prints it
def test_error_of_the_recorder_is_no_hang(client_runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder that fails ends the run: its failure is neither an error nor a hang of the client."""
    monkeypatch.setattr(client_runner, "describe_error", lambda _: 1 / 0)
    with pytest.raises(RuntimeError, match="the recorder failed"):
        client_runner.bounded(lambda: ({"text": name}[name] for name in ["content"]))


@pytest.mark.parametrize(("ahead_s", "status"), [(0.0, 0), (1.0, 1)])
def test_clocks_of_node_and_python(tmp_path: Path, ahead_s: float, status: int) -> None:
    """A visit of Node's is refused when its clock is not Python's: on macOS they differ after the machine has slept."""
    if not (node := shutil.which("node")):
        pytest.skip("Node is not installed")
    score, told = tmp_path / "score.json", tmp_path / "told.json"
    clocks = {"wall_s": time.time(), "monotonic_s": time.monotonic() + ahead_s}
    score.write_text(json.dumps({"servers": [], "clocks": clocks}), "utf-8")
    client = tmp_path / "client.mjs"
    client_runner = json.dumps((HERE / "node" / "client_runner.mjs").as_uri())
    client.write_text(f"import {{ runActs }} from {client_runner}; await runActs(() => ({{}}));", "utf-8")
    done = subprocess.run([node, client, score, told], capture_output=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr.decode()
    assert (b"differ by 1.00" in done.stderr) == bool(status)


def test_acts_leave_no_garbage(client_runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an act leaves behind is collected before the next one begins, never in the middle of it."""

    class Left:
        """A cycle, as an exception and its frames are."""

    alive: list[weakref.ref[Left]] = []

    def leave(_: str) -> Iterator[dict[str, object]]:
        left = Left()
        left.__dict__["itself"] = left
        alive.append(weakref.ref(left))
        yield {"kept": [one() is not None for one in alive[:-1]]}

    servers = [{"name": "one", "url": "", "acts": ["plain", "stream"]}]
    monkeypatch.setattr(client_runner, "SERVERS", servers)
    monkeypatch.setitem(client_runner.INSTRUCTIONS, "text", "")
    gc.disable()
    try:
        client_runner.visit_all(lambda *_: client_runner.ClientCalls(leave, leave, leave))
    finally:
        gc.unfreeze()
        gc.enable()
    lines = [json.loads(line) for line in Path(sys.argv[2]).read_text("utf-8").splitlines()]
    assert [line["fields"]["kept"] for line in lines] == [[], [False]]
