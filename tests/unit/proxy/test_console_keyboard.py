"""Keys and escape sequences of a terminal, with fakes for other systems."""

from __future__ import annotations

import os

import pytest

from lumen_proxy.console import keyboard
from tests.unit.proxy.test_platform import Recorder

KEYS: dict[str, tuple[bytes, list[str | None]]] = {
    "typed-ahead": (b"hd", ["h", "d"]),
    "arrow": (b"\x1b[Aq", [None, "q"]),
    "arrow-with-shift": (b"\x1b[1;2Aq", [None, "q"]),
    "function-key": (b"\x1bOPq", [None, "q"]),
    "escape": (b"\x1b", ["\x1b"]),
    "hangul": ("ㅂq".encode(), ["\ufffd", "\ufffd", "\ufffd", "q"]),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows reads a terminal by other functions")
@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_read(name: str) -> None:
    """Keys that arrive together are read one by one; an arrow key is ignored."""
    typed, keys = KEYS[name]
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0), open(writing, "wb", buffering=0) as typing:  # noqa: PTH123
        typing.write(typed)
        assert [keyboard.next_key(reading, 5.0) for _ in keys] == keys
        assert keyboard.next_key(reading, 0.0) is None


CONSOLES = {
    "modern": ({}, True),
    "too-old": ({"SetConsoleMode": 0}, False),
    "no-console": ({"GetConsoleMode": 0}, False),
}


@pytest.mark.parametrize("name", CONSOLES)
def test_escape_sequences_of_a_windows_console(name: str) -> None:
    """The mode of the console gets the bit for escape sequences, if that is possible."""
    answers, supported = CONSOLES[name]
    dll = Recorder(GetStdHandle=7, **answers)
    assert keyboard.enable_escape_sequences("win32", dll) is supported
    calls = dict(dll.calls)
    assert calls["GetStdHandle"] == (-11,)
    if name != "no-console":
        handle, mode = calls["SetConsoleMode"]
        assert (handle.value, mode) == (7, 4)


def test_other_systems_have_escape_sequences() -> None:
    """Other systems need no call for escape sequences."""
    dll = Recorder()
    assert keyboard.enable_escape_sequences("linux", dll)
    assert not dll.calls


@pytest.mark.skipif(os.name == "nt", reason="Windows reads a terminal by other functions")
def test_a_terminal_that_is_closed_during_a_key() -> None:
    """A closed terminal raises KeyboardInterrupt, like Ctrl-C."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0):  # noqa: PTH123
        os.write(writing, b"\x1b[")
        os.close(writing)
        assert keyboard.next_key(reading, 5.0) is None
        with pytest.raises(KeyboardInterrupt):
            keyboard.next_key(reading, 5.0)
