"""G4: an answer of the gateway deviates from its documented form; the text arrives, and dropped fields are listed."""

import gzip
import json
from dataclasses import dataclass

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.expectations import expect_text
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import encoded, lumen, says
from lumen_conformance.http.documents import answer_json
from lumen_conformance.registry.declaration import check_each
from lumen_conformance.registry.refutation import expect, shorten

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]


@dataclass(frozen=True)
class Drift:
    """A reply of the gateway, the expected text, and the beginning of the one warning (None: no warning)."""

    reply: Reply
    warning: str | None = None
    text: str = "words"


def changed(warning: str | None, **fields: object) -> Drift:
    """An answer with other fields; the JSON is ASCII, so that it can contain half of a surrogate pair."""
    return Drift(says(json.dumps(lumen("words") | fields).encode()), warning)


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
    "success-missing": Drift(says(WITHOUT_SUCCESS)),
    "byte-order-mark": Drift(says(b"\xef\xbb\xbf" + BODY)),
    "gzip": Drift(says(gzip.compress(BODY), headers=(("Content-Encoding", "gzip"),))),
    "half-a-pair": Drift(says(json.dumps(lumen("words \ud83c")).encode()), "response", "words \ufffd"),
}


@check_each("drift", {f"G4.drift-{name}": drift for name, drift in DRIFTS.items()}, source="docs/behaviour.md")
def test_drift(drift: Drift, proxy: ContractSession) -> None:
    """An answer with deviations in other fields keeps its text, and lists what was dropped or replaced."""
    with proxy.gateway.scripted(drift.reply):
        capture = proxy.ask("안녕")
    expect_text(capture, drift.text)
    metadata = child_object(answer_json(capture), "lumen_metadata")
    found = metadata.get("gateway_warnings")
    warnings = [str(each) for each in found] if isinstance(found, list) else []
    wanted = f"one warning that begins with {drift.warning!r}" if drift.warning is not None else "no warning"
    named = [each.startswith(drift.warning or "") for each in warnings] == [True] * (drift.warning is not None)
    expect(named, f"{wanted} in lumen_metadata.gateway_warnings", shorten(found))
    persona = json.dumps(metadata.get("persona"))
    expect("NaN" not in persona, "a persona without NaN", persona)
