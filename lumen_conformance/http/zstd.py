"""The frames of zstd data (RFC 8878, 3.1.1). The standard library of Python 3.11 has no decoder.

The structure of the frames shows whether data are zstd and complete; blocks that are not compressed can be read.
"""

from __future__ import annotations

from io import BytesIO

ZSTD = b"\x28\xb5\x2f\xfd"  # the first bytes of a frame
HEADER = ZSTD + b"\xa0"  # one segment, and a content size of four bytes
MOST_BYTES = 131_072  # of a block
BLOCK_BYTES = 100_000
SKIPPABLE = range(0x184D2A50, 0x184D2A60)  # as the first bytes of a frame without data
RAW, REPEATED, RESERVED = 0, 1, 3  # types of blocks; 2 is compressed
DICTIONARY_BYTES = (0, 1, 2, 4)
SIZE_BYTES = (0, 2, 4, 8)
SINGLE_SEGMENT, RESERVED_BIT, CHECKSUM = 0x20, 0x08, 0x04  # bits of the descriptor of a frame


def frame_zstd(body: bytes) -> bytes:
    """A body as zstd data that are not compressed: a frame of raw blocks."""
    blocks = [body[at : at + BLOCK_BYTES] for at in range(0, len(body), BLOCK_BYTES)] or [b""]
    heads = (len(block) << 3 | (number == len(blocks)) for number, block in enumerate(blocks, 1))
    framed = (head.to_bytes(3, "little") + block for head, block in zip(heads, blocks, strict=True))
    return HEADER + len(body).to_bytes(4, "little") + b"".join(framed)


def unframe_zstd(body: bytes) -> bytes | None:
    """The data of all frames, None when a block is compressed. Raises ValueError for anything but complete frames."""
    stream, data, is_known = BytesIO(body), b"", True
    while (at := stream.tell()) < len(body) or not at:
        magic = _number(stream, len(ZSTD))
        if magic in SKIPPABLE:
            _take(stream, _number(stream, 4))
        elif magic != int.from_bytes(ZSTD, "little"):
            raise ValueError(f"the body {'continues' if at else 'begins'} with {body[at : at + 20]!r}")
        else:
            blocks = _blocks(stream)
            is_known = is_known and None not in blocks
            data += b"".join(block or b"" for block in blocks)
    return data if is_known else None


def _blocks(stream: BytesIO) -> list[bytes | None]:
    """The data of the blocks of a frame, after its first bytes; None for those that are compressed."""
    descriptor = _number(stream, 1)
    if descriptor & RESERVED_BIT:
        raise ValueError("the head of a zstd frame has a reserved bit")
    is_single = bool(descriptor & SINGLE_SEGMENT)
    size_bytes = SIZE_BYTES[descriptor >> 6] or int(is_single)
    _take(stream, int(not is_single) + DICTIONARY_BYTES[descriptor & 3] + size_bytes)
    found: list[bytes | None] = []
    is_last = False
    while not is_last:
        head = _number(stream, 3)
        is_last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        if kind == RESERVED or size > MOST_BYTES:
            raise ValueError(f"a zstd block has the type {kind} and {size} bytes")
        block = _take(stream, 1 if kind == REPEATED else size)
        found.append(block * size if kind == REPEATED else block if kind == RAW else None)
    _take(stream, 4 if descriptor & CHECKSUM else 0)
    return found


def _take(stream: BytesIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise ValueError("a zstd frame is not complete")
    return found


def _number(stream: BytesIO, size: int) -> int:
    return int.from_bytes(_take(stream, size), "little")
