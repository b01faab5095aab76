"""What the clients of an upgrade met: each request counts in one group, whatever its end."""

from __future__ import annotations

import pytest

from lumen_conformance.stages.upgrade_load import Load, summarize


@pytest.mark.parametrize(
    ("end", "load"),
    [
        ((200, "complete"), Load(3, 0, 0, ())),
        ((None, "refused"), Load(0, 3, 0, ())),
        ((None, "reset"), Load(0, 0, 3, ())),
        ((200, "aborted"), Load(0, 0, 3, ())),
        ((503, "timeout"), Load(0, 0, 3, ())),
        ((503, "complete"), Load(0, 0, 0, ("3 x status 503, complete",))),
        ((200, "invalid"), Load(0, 0, 0, ("3 x status 200, invalid",))),
        ((None, "unreachable"), Load(0, 0, 0, ("3 x status None, unreachable",))),
    ],
)
def test_each_end_is_counted_once(end: tuple[int | None, str], load: Load) -> None:
    """An answer that is not HTTP, or no route, is an end as well: no request is left out."""
    assert summarize({end: 3}) == load
