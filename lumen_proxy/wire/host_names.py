"""Host names as they stand in URLs and headers."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@/?#,\s]+)(:[0-9]{0,5})?", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=64)  # a client asks by the same name each time
def is_loopback(host: str) -> bool:
    """Whether a host name or literal address means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_name(header: str) -> str | None:
    """The name in a Host header, in lower case, without port, brackets and the root's dot; None if malformed."""
    match = HOST.fullmatch(header)
    return match[1].strip("[]").lower().removesuffix(".") if match else None
