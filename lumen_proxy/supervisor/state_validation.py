"""What stands inside the fields of a state file, checked before it is believed: somebody may have edited it."""

from __future__ import annotations

import math
from typing import Any

from lumen_proxy.supervisor.listener import LOOPBACKS, url_of

LARGEST_PID = 2**31 - 1
TEXTS_OF_AN_EVENT = ("at", "what", "kind")
ENTRY = {"value": (str, type(None)), "origin": (str,), "digest": (str,)}


def is_sound(fields: dict[str, Any]) -> bool:
    """True if the parts of the fields are what they must be; the fields themselves have their kinds already."""
    return (
        0 < fields["pid"] <= LARGEST_PID
        and math.isfinite(fields["drain_s"])
        and all(isinstance(host, str) for host in fields["hosts"])
        and fields["url"] in _own_urls(fields["host"], fields["port"])
        and _is_record(fields.get("settings") or {})
        and all(_is_event(fields.get(name) or {}) for name in ("last_failure", "ended"))
    )


def _own_urls(host: str, port: int) -> set[str]:
    """The addresses of an instance on this machine: another one would be asked in its place."""
    return {url_of(one, port) for one in (LOOPBACKS if host == "localhost" else (host,))}


def _is_event(event: dict[str, Any]) -> bool:
    return all(isinstance(event.get(name, ""), str) for name in TEXTS_OF_AN_EVENT)


def _is_record(settings: dict[str, Any]) -> bool:
    """See `recorded`. An older release has none."""
    values = settings.get("values", {})
    return (
        isinstance(settings.get("salt", ""), str) and isinstance(values, dict) and all(map(_is_entry, values.values()))
    )


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    return all(isinstance(entry[name], kinds) for name, kinds in ENTRY.items() if name in entry)
