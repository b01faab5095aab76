"""What a request body must be before it is read as JSON: not compressed, UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_proxy.wire.api_errors import problem

if TYPE_CHECKING:
    from lumen_proxy.errors import ApiError

UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks, as PowerShell 5 writes them into files
REMEDY = (
    "Save the JSON as a UTF-8 file and send it with: curl --data-binary @file.json. In PowerShell, first run: "
    "chcp 65001; $OutputEncoding = [Console]::OutputEncoding = [Text.Encoding]::UTF8"
)


def check_coding(content_encoding: str) -> None:
    """Raises ApiError (415) for a compressed body; no client of the OpenAI API sends one by default."""
    if content_encoding.strip().lower() not in {"", "identity"}:
        coding = ascii(content_encoding[:32])
        message = f"The request body has the content coding {coding}: send it uncompressed, without Content-Encoding."
        raise problem("unsupported_media_type", message, headers={"Accept-Encoding": "identity"})  # RFC 9110, 15.5.16


def not_utf8(data: bytes, error: UnicodeDecodeError) -> ApiError:
    """400 with the remedy for Windows, whose tools send the code page of the system (CP949)."""
    where = "but UTF-16" if data.startswith(UTF_16) else f"(byte 0x{data[error.start]:02X} at {error.start})"
    return problem("invalid_json", f"The request body is not UTF-8 {where}. {REMEDY}")
