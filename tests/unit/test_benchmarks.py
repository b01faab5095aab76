"""What the benchmarks keep is what they claim."""

import importlib

import pytest

STABILITY = importlib.import_module("benchmarks.stability")  # a script, which mypy knows by another name


@pytest.mark.parametrize(
    ("green", "asked", "kept"), [(30, 30, True), (40, 40, True), (30, 40, False), (29, 30, False), (10, 10, False)]
)
def test_only_a_whole_green_series_is_kept(green: int, asked: int, kept: bool) -> None:  # noqa: FBT001 -- a column
    """Thirty runs or more, and every run that was asked for was green."""
    assert STABILITY.is_full({"green": green}, asked) is kept
