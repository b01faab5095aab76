"""The words of a long stream, read by the quick parser of the contract."""

import pytest

from tests.contract.test_g_text import joined

CHUNK = b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n'


@pytest.mark.parametrize(
    "broken",
    [b"data: {\n\n", b"data: [1]\n\n", b'data: {"choices": [1]}\n\n', b'data: {"choices": [{"delta": 1}]}\n\n',
     b"data: \xff\n\n", b"data: " + b"[" * 100_000 + b"\n\n", b'data: {"choices": [{"delta": {"content'],
)  # fmt: skip
def test_a_broken_event_has_no_words(broken: bytes) -> None:
    """An event that is no chunk never raises, and the words around it stay."""
    assert joined(CHUNK % b"one" + broken) == "one"
    assert joined(broken + b"\n\n" + CHUNK % b"two") == "two"


def test_a_byte_order_mark_takes_no_words() -> None:
    """One mark at the start of a stream is no part of its first line, as the strict parser reads it."""
    assert joined(b"\xef\xbb\xbf" + CHUNK % b"one") == "one"
