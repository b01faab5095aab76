"""The order of the files of a parallel run."""

from tests.fixtures.file_order import LONGEST
from tests.fixtures.repository import ROOT


def test_the_listed_files_exist() -> None:
    """Each file of the order is a file: a file with a new name would run last."""
    assert [name for name in LONGEST if not (ROOT / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)
