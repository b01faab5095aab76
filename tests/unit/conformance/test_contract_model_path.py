"""The path of a model."""

import pytest

from lumen_conformance.contract.session import model_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("openai/gpt 4", "openai%2Fgpt%204"),
        ("달", "%EB%8B%AC"),
        ("half-\ud800", "half-%ED%A0%80"),  # JSON may have half of a surrogate pair
    ],
)
def test_any_name_has_a_path(name: str, path: str) -> None:
    """A name is escaped as UTF-8; half of a surrogate pair is no error."""
    assert model_path(name) == f"/v1/models/{path}"
