"""What the benchmarks keep is what they claim."""

import importlib

import pytest

STABILITY = importlib.import_module("benchmarks.stability")  # a script, which mypy knows by another name


@pytest.mark.parametrize(
    ("green", "asked", "kept"), [(50, 50, True), (60, 60, True), (50, 60, False), (49, 50, False), (10, 10, False)]
)
def test_only_a_whole_green_series_is_kept(green: int, asked: int, kept: bool) -> None:  # noqa: FBT001 -- a column
    """Fifty runs or more, and every run that was asked for was green."""
    assert STABILITY.is_full({"green": green}, asked) is kept
