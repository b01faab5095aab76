"""The content coding of a response: what a request accepts, and the body without it."""

from __future__ import annotations

import gzip
import zlib

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.content_coding import coding_of, decoded, frame_zstd, is_accepted

TEXT = b'{"text": "' + b"x" * 250_000 + b'"}'
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
CODED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "GZIP": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "zstd": frame_zstd(TEXT),
}


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


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_other_data_are_kept(coding: str) -> None:
    """Data of a coding that the suite cannot decode are kept as they are."""
    body = b"\x28\xb5\x2f\xfd\x24\x02" if coding == "zstd" else b"\x8b\x00\x80hi\x03"
    assert decoded(response(coding, body)).body == body


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", TEXT), ("deflate", TEXT), ("zstd", TEXT), ("br", TEXT), ("", gzip.compress(TEXT))]
)
def test_a_wrong_label_is_found(coding: str, body: bytes) -> None:
    """A body that does not have the coding of its header is an error with both in its text."""
    with pytest.raises(ValueError, match=f"Content-Encoding: {coding}" if coding else "no Content-Encoding"):
        decoded(response(coding, body))


@pytest.mark.parametrize(
    ("accepts", "accepted"), [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("identity", False)]
)
def test_accepted(accepts: str, accepted: bool) -> None:  # noqa: FBT001 -- a row
    """A coding is accepted when the request names it, and not with weight 0."""
    assert is_accepted(response("gzip", b"", accepts), "gzip") is accepted
