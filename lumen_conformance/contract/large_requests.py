"""Requests as large as clients send them: a long conversation, a picture, long headers and many of them.

The sizes are those of ordinary requests, and below the usual limits of servers. A target may have limits above them.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Any, Final

from lumen_conformance.contract.conversations import assistant, text, user
from lumen_conformance.gateway.replies import encoded

# Of the texts of a conversation. gpt-4o-mini reads 128,000 tokens of some four characters; 100,000 of them leave room
# for the answer, and for servers that estimate the tokens by other means.
CONVERSATION_BYTES: Final = 400_000
TURN_BYTES: Final = 8_000  # of one turn: a file of 200 lines that an agent has read
# Of a picture: a screenshot. A data URL has four characters for three of its bytes.
PICTURE_BYTES: Final = 1_000_000
SIDE_PIXELS: Final = 577  # of a square of this size with three bytes for a pixel
# Of a header: more than 4 KB, and with the other headers less than 8 KB, the limit of a line for nginx and Apache, and
# of all headers for older versions of Node.
HEADER_BYTES: Final = 7_000
HEADERS: Final = 60  # of 100 for gunicorn and hyper; the OpenAI libraries send 20, and a browser and proxies add theirs
LAST: Final = "what do these files have in common?"
Messages = list[dict[str, Any]]


def conversation() -> Messages:
    """A conversation of files and remarks about them, and a question at its end."""
    turns = range(CONVERSATION_BYTES // TURN_BYTES // 2)
    pairs = [(user(_file(2 * turn)), assistant(_file(2 * turn + 1))) for turn in turns]
    return [*(message for pair in pairs for message in pair), user(LAST)]


def _file(number: int) -> str:
    """A text of `TURN_BYTES` that no other turn has."""
    lines = (f"file {number}, line {line}: value = {line * number}\n" for line in range(TURN_BYTES // 20))
    return "".join(lines)[:TURN_BYTES].strip()  # a target may strip texts, as G2 says


def with_picture() -> Messages:
    """A question with a picture."""
    url = f"data:image/png;base64,{b64encode(picture()).decode()}"
    return [user([text("name what this screenshot shows"), {"type": "image_url", "image_url": {"url": url}}])]


def picture() -> bytes:
    """A PNG of `PICTURE_BYTES` that is valid, black and not compressed."""
    header = struct.pack(">IIBBBBB", SIDE_PIXELS, SIDE_PIXELS, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0\0\0" * SIDE_PIXELS) * SIDE_PIXELS, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _block(*each) for each in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )


def _block(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def padded(body: dict[str, Any]) -> bytes:
    """A JSON object with so much white space that it has the size of the conversation, and no more tokens."""
    return b"{" + b" " * CONVERSATION_BYTES + encoded(body)[1:]


def one_long_header() -> list[tuple[str, str]]:
    """A token as proxies of single sign-on pass it on."""
    return [("X-Auth-Request-Access-Token", "e" * HEADER_BYTES)]


def many_headers() -> list[tuple[str, str]]:
    """Headers that have the size of the long one together."""
    names = [f"X-Stainless-Client-{number}" for number in range(HEADERS)]
    return [(name, "v" * (HEADER_BYTES // HEADERS - len(f"{name}: \r\n"))) for name in names]
