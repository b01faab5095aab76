"""The admission of chats: taken once, released once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_proxy.errors import ApiError
from lumen_proxy.worker.limits import AdmissionLimit
from tests.unit.proxy.running_proxy import run_proxy


def test_an_admission_is_released_once() -> None:
    """A second release has no effect: it does not admit one more chat."""
    limit = AdmissionLimit(1)
    with ExitStack() as admission:
        admission.enter_context(limit.admit())
        admission.close()
    with limit.admit(), pytest.raises(ApiError, match="Too many") as refused, limit.admit():
        pass
    assert refused.value.code == "concurrency_limit"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("body", [{"n": 0}, {}], ids=["refused", "failed"])
def test_each_error_releases_the_admission(gateway: ScriptedGateway, stream: bool, body: dict[str, Any]) -> None:  # noqa: FBT001 -- a row
    """With one admission, errors in sequence are followed by an answer."""
    with run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_MAX_QUEUE="0") as served:
        gateway.standing = replies.html
        statuses = {served.chat(stream=stream, **body).status for _ in range(3)}
        gateway.standing = replies.echo
        assert statuses == ({400} if body else {502})
        assert served.chat(stream=stream).status == 200
