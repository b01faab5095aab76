"""What the response to the request after a refused one says about the body of the refused one."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.registry.refutation import NotJudged, Refuted
from tests.contract import test_h_bodies as bodies
from tests.unit.conformance import samples as s
from tests.unit.conformance.samples import ERROR

SESSION = Mock(**{"health.status": 200, "target.probe_path": "/health"})


def expect_own(monkeypatch: pytest.MonkeyPatch, following: Capture) -> None:
    """The assertion of the checks, about this response to the second request."""
    monkeypatch.setattr(bodies, "follow", lambda *_: (s.plain(ERROR, status=404), following))
    bodies.expect_own_response(SESSION, bodies.REFUSED["H2-body-of-unknown-route"])


@pytest.mark.parametrize("following", [s.plain(), s.late(s.plain(b""), status=None, ended="aborted", raw=b"")])
def test_own_response(following: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response to the second request holds, and so does a closed connection."""
    expect_own(monkeypatch, following)


@pytest.mark.parametrize(("status", "what"), [(400, "is read as a request"), (501, "is read as"), (404, "another")])
def test_other_response(status: int, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an error about a request says that the body is read as one."""
    following = s.plain(ERROR, status=status)
    with pytest.raises(Refuted, match=what):
        expect_own(monkeypatch, following)
    assert LAST_CAPTURE.capture is following


@pytest.mark.parametrize("status", [429, 503])
def test_limit(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal for a limit says nothing about the body."""
    with pytest.raises(NotJudged, match="limit"):
        expect_own(monkeypatch, s.plain(ERROR, status=status))
