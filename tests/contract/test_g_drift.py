"""G4: a gateway's answer drifts from its documented form; the text arrives, and what was dropped is named."""

import gzip
import json
from dataclasses import dataclass

import pytest

from lumen_conformance.checks.findings import child
from lumen_conformance.contract.expectations import expect_text
from lumen_conformance.contract.session import Talk
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import encoded, lumen, respond_with
from lumen_conformance.http.documents import answer
from lumen_conformance.registry.declaration import check_each
from lumen_conformance.registry.refutation import expect, shorten

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]


@dataclass(frozen=True)
class Drift:
    """A reply of the gateway, the text that must arrive, and the beginning of the one warning (None: no warning)."""

    reply: Reply
    warning: str | None = None
    text: str = "words"


def changed(warning: str | None, **fields: object) -> Drift:
    """An answer with other fields; JSON in ASCII, so that half a pair can be written."""
    return Drift(respond_with(json.dumps(lumen("words") | fields).encode()), warning)


BODY = encoded(lumen("words"))
WITHOUT_SUCCESS = {name: value for name, value in lumen("words").items() if name != "success"}
DRIFTS = {
    "sources-objects": changed("sources", sources=[{"title": "a page"}]),
    "sources-string": changed("sources", sources="cache"),
    "timestamp-number": changed("timestamp", timestamp=1761268140),
    "persona-string": changed("persona", persona="세나"),
    "persona-without-name": changed("persona", persona={"emoji": "🌀"}),
    "nan": changed("NaN", score=float("nan")),
    "nan-in-persona": changed("NaN", persona={"name": "세나", "score": float("nan")}),
    "success-missing": Drift(respond_with(WITHOUT_SUCCESS)),
    "byte-order-mark": Drift(respond_with(b"\xef\xbb\xbf" + BODY)),
    "gzip": Drift(respond_with(gzip.compress(BODY), headers=(("Content-Encoding", "gzip"),))),
    "half-a-pair": Drift(respond_with(json.dumps(lumen("words \ud83c")).encode()), "response", "words \ufffd"),
}


@check_each("drift", {f"G4.drift-{name}": drift for name, drift in DRIFTS.items()})
def test_drift(drift: Drift, talk: Talk) -> None:
    """Drift beside the response never stops its words, and what was dropped or replaced is named."""
    with talk.gateway.scripted(drift.reply):
        seen = talk.ask("안녕")
    expect_text(seen, drift.text)
    told = child(answer(seen), "lumen_metadata")
    found = told.get("gateway_warnings")
    warnings = [str(each) for each in found] if isinstance(found, list) else []
    wanted = f"one warning that begins with {drift.warning!r}" if drift.warning is not None else "no warning"
    named = [each.startswith(drift.warning or "") for each in warnings] == [True] * (drift.warning is not None)
    expect(named, f"{wanted} in lumen_metadata.gateway_warnings", shorten(found))
    persona = json.dumps(told.get("persona"))
    expect("NaN" not in persona, "a persona without NaN", persona)
