"""What is counted and logged of a request, whoever answered it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixtures import replies
from tests.fixtures.waiting import until
from tests.unit.serving import serving
from tests.unit.test_proxy import counted

if TYPE_CHECKING:
    from tests.fixtures.gateway import Gateway

WITHIN_S = 10.0


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_time_of_a_failing_gateway_is_counted(gateway: Gateway, stream: bool) -> None:  # noqa: FBT001 -- a row
    """A gateway that is slow and fails is as visible as one that answers."""
    gateway.standing = replies.silent
    with serving(gateway.url, LUMEN_TIMEOUT_S="0.3") as served:
        assert served.chat(stream=stream).status == 504
        got = until("counted", lambda: counted(served, 'code="gateway_timeout"'), within_s=WITHIN_S)
    lines = got.body.decode().splitlines()
    assert 'lumen_gateway_seconds_count{channel="gateway"} 1.0' in lines
    assert 'lumen_gateway_seconds_bucket{channel="gateway",le="0.25"} 0.0' in lines
    assert "lumen_overhead_seconds_count 1.0" in lines
    assert not any(line.startswith("lumen_tokens_total{") for line in lines)
