"""The quick parser of the contract suite for the text of a long stream."""

import pytest

from tests.contract.test_g_text import join_deltas

CHUNK = b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n'


@pytest.mark.parametrize(
    "broken",
    [b"data: {\n\n", b"data: [1]\n\n", b'data: {"choices": [1]}\n\n', b'data: {"choices": [{"delta": 1}]}\n\n',
     b"data: \xff\n\n", b"data: " + b"[" * 100_000 + b"\n\n", b'data: {"choices": [{"delta": {"content'],
)  # fmt: skip
def test_a_broken_event_has_no_text(broken: bytes) -> None:
    """An event that is not a chunk does not raise, and the text of the other events is kept."""
    assert join_deltas(CHUNK % b"one" + broken) == "one"
    assert join_deltas(broken + b"\n\n" + CHUNK % b"two") == "two"


def test_a_byte_order_mark_is_skipped() -> None:
    """A byte order mark at the start of a stream is not part of its first line, as in the strict parser."""
    assert join_deltas(b"\xef\xbb\xbf" + CHUNK % b"one") == "one"
