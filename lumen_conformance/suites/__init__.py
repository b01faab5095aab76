"""The suites that this package runs: in this folder when it is installed, in the ``tests`` folder of a clone."""

from pathlib import Path
from typing import Final

NAMES: Final = ("contract", "recovery")


def folder() -> Path:
    """Return the folder that holds the suites, each in a folder of its name."""
    here = Path(__file__).resolve().parent
    return here if (here / NAMES[0]).is_dir() else here.parents[1] / "tests"
