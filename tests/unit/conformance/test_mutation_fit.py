"""Each mutation fits the proxy of today: it replaces what exists, and what it puts there can be called."""

from __future__ import annotations

import subprocess
import sys
from types import FunctionType
from typing import cast

import pytest

from tests.fixtures.mutation_fit import is_fit
from tests.fixtures.repository import ROOT


@pytest.mark.skipif(sys.platform == "win32", reason="os.fork")
def test_each_mutation_fits_the_proxy() -> None:
    """No mutation fails its checks by a name that is gone or by arguments that its replacement does not take."""
    command = [sys.executable, "-m", "tests.fixtures.mutation_fit"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


@pytest.mark.parametrize(
    ("replacement", "fits"),
    [
        (lambda a, b, *, c: (a, b, c), True),
        (lambda *given, **named: (given, named), True),
        (lambda _a, _b, **named: named, True),
        (lambda a, *, c: (a, c), False),
        (lambda a, b: (a, b), False),
    ],
)
def test_what_fits(replacement: object, fits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A replacement takes as many arguments as the original, and those that have names."""

    def original(a: int, b: int, *, c: int = 0) -> tuple[int, int, int]:
        return a, b, c

    assert is_fit(cast("FunctionType", original), cast("FunctionType", replacement)) is fits
