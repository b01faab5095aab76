"""The content coding of a response: what a request accepts, and the body without it."""

from __future__ import annotations

import gzip
import zlib

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.content_coding import coding_of, decoded, is_accepted
from lumen_conformance.http.zstd import frame_zstd

TEXT = b'{"text": "' + b"x" * 250_000 + b'"}'
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
CODED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "GZIP": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "zstd": frame_zstd(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "gzip, zstd": frame_zstd(gzip.compress(TEXT)),
}
# Of the command zstd 1.5.4: one block that is compressed, and a checksum.
COMPRESSED = bytes.fromhex(
    "28b52ffd24390d0100c07b2274657874223a2022ec9588eb85952068656c6c6f227d0200299caeaf2c019b4d2f7b"
)
# Of Brotli 1.1, as Node has it: texts of 57 and of 6 bytes.
BROTLI = bytes.fromhex("1b3800f89d09764c6484e6486ee8a9f6d65304843d2b110b4ba7af07912498a134010988d00ce9267b926750")
SHORT_BROTLI = bytes.fromhex("8b0280ec9588eb859503")
REPEATED = b"\x28\xb5\x2f\xfd\x00\x58" + bytes([5 << 3 & 0xFF | 3, 0, 0]) + b"a"  # one block: "a", five times
SKIPPED = b"\x50\x2a\x4d\x18\x02\x00\x00\x00hi"


def response(coding: str, body: bytes, accepts: str = "gzip") -> Capture:
    """A response in this coding to a request that accepts these."""
    request = f"GET / HTTP/1.1\r\nAccept-Encoding: {accepts}\r\n\r\n".encode()
    return Capture("http://x/", request, 200, (("content-encoding", coding),) if coding else (), body=body)


@pytest.mark.parametrize("coding", CODED)
def test_a_body_is_decoded(coding: str) -> None:
    """A body in each coding is read as it was, and its copy has no coding."""
    read = decoded(response(coding, CODED[coding]))
    assert (read.body, coding_of(read)) == (TEXT, "")


def test_deflate_without_the_header_of_zlib_is_decoded() -> None:
    """Some servers send deflate without the header of zlib, and clients read it."""
    raw = RAW_DEFLATE.compress(TEXT) + RAW_DEFLATE.flush()
    assert decoded(response("deflate", raw)).body == TEXT


@pytest.mark.parametrize(
    ("coding", "body"), [("br", BROTLI), ("br", SHORT_BROTLI), ("zstd", COMPRESSED), ("compress", TEXT)]
)
def test_other_data_are_kept(coding: str, body: bytes) -> None:
    """Data of a coding that the suite cannot decode are kept as they are."""
    read = decoded(response(coding, body))
    assert (read.body, coding_of(read)) == (body, coding)


def test_the_codings_that_can_be_decoded_are() -> None:
    """Of two codings, the last one is decoded also where the first one cannot be."""
    read = decoded(response("br, gzip", gzip.compress(BROTLI)))
    assert (read.body, coding_of(read)) == (BROTLI, "br")


@pytest.mark.parametrize("body", [REPEATED, SKIPPED + REPEATED, REPEATED + SKIPPED])
def test_frames_of_zstd(body: bytes) -> None:
    """A block that repeats a byte is read, and a frame without data is skipped."""
    assert decoded(response("zstd", body)).body == b"aaaaa"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", TEXT),
        ("deflate", TEXT),
        ("zstd", TEXT),
        ("zstd", COMPRESSED[:-1]),
        ("zstd", COMPRESSED + TEXT),
        ("zstd", b"\x28\xb5\x2f\xfd" + TEXT),
        ("zstd", b""),
        ("br", TEXT),
        ("br", b"<html>"),
        ("br", b"[1]"),
        ("br", "안녕".encode()),
        ("br", gzip.compress(TEXT)),
        ("br", frame_zstd(TEXT)),
        ("gzip, br", gzip.compress(TEXT)),
        ("", gzip.compress(TEXT)),
    ],
)
def test_a_wrong_label_is_found(coding: str, body: bytes) -> None:
    """A body that does not have the coding of its header is an error with both in its text."""
    with pytest.raises(ValueError, match=f"Content-Encoding: {coding}" if coding else "no Content-Encoding"):
        decoded(response(coding, body))


@pytest.mark.parametrize(
    ("accepts", "coding", "accepted"),
    [
        ("gzip", "gzip", True),
        ("br, GZIP;q=0.5", "gzip", True),
        ("gzip;q=0", "gzip", False),
        ("identity", "gzip", False),
        ("gzip", "x-gzip", True),
        ("gzip, br", "br, gzip", True),
        ("gzip", "gzip, br", False),
    ],
)
def test_accepted(accepts: str, coding: str, accepted: bool) -> None:  # noqa: FBT001 -- a row
    """Codings are accepted when the request names each of them, and none with weight 0."""
    assert is_accepted(response(coding, b"", accepts), coding) is accepted
