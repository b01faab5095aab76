"""G4: the metadata of the gateway, deviations from its documented form, and ignored parameters."""

import gzip
import json
from dataclasses import dataclass

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.expectations import expect_equal, expect_text, lumen_metadata
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import answer_with, encoded, lumen, respond_with
from lumen_conformance.http.documents import choices_in, chunks
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import expect, shorten

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]


@dataclass(frozen=True)
class Drift:
    """A reply of the gateway, the expected text, and the beginning of the one warning (None: no warning)."""

    reply: Reply
    warning: str | None = None
    text: str = "words"


def reply_with(warning: str | None, **fields: object) -> Drift:
    """An answer with other fields; the JSON is ASCII, so that it can contain half of a surrogate pair."""
    return Drift(respond_with(json.dumps(lumen("words") | fields).encode()), warning)


BODY = encoded(lumen("words"))
WITHOUT_SUCCESS = {name: value for name, value in lumen("words").items() if name != "success"}
DRIFTS = {
    "sources-objects": reply_with("sources", sources=[{"title": "a page"}]),
    "sources-string": reply_with("sources", sources="cache"),
    "timestamp-number": reply_with("timestamp", timestamp=1761268140),
    "persona-string": reply_with("persona", persona="세나"),
    "persona-without-name": reply_with("persona", persona={"emoji": "🌀"}),
    "nan": reply_with("NaN", score=float("nan")),
    "nan-in-persona": reply_with("NaN", persona={"name": "세나", "score": float("nan")}),
    "success-missing": Drift(respond_with(WITHOUT_SUCCESS)),
    "byte-order-mark": Drift(respond_with(b"\xef\xbb\xbf" + BODY)),
    "gzip": Drift(respond_with(gzip.compress(BODY), headers=(("Content-Encoding", "gzip"),))),
    "half-a-pair": Drift(respond_with(json.dumps(lumen("words \ud83c")).encode()), "response", "words \ufffd"),
}


@check_each("drift", {f"G4-drift-{name}": drift for name, drift in DRIFTS.items()}, source="docs/behaviour.md")
def test_drift(drift: Drift, proxy: ContractSession) -> None:
    """An answer with deviations in other fields ({row}) keeps its text, and lists what was dropped or replaced."""
    with proxy.gateway.scripted(drift.reply):
        capture = proxy.ask("안녕")
    expect_text(capture, drift.text)
    metadata = lumen_metadata(capture)
    found = metadata.get("gateway_warnings")
    warnings = [str(each) for each in found] if isinstance(found, list) else []
    wanted = f"one warning that begins with {drift.warning!r}" if drift.warning is not None else "no warning"
    named = [each.startswith(drift.warning or "") for each in warnings] == [True] * (drift.warning is not None)
    expect(named, f"{wanted} in lumen_metadata.gateway_warnings", shorten(found))
    persona = json.dumps(metadata.get("persona"))
    expect("NaN" not in persona, "a persona without NaN", persona)


@check("G4-metadata", tier="S", source="docs/behaviour.md: lumen_metadata")
def test_metadata(proxy: ContractSession) -> None:
    """The answer has the persona, the sources and the timestamp as the gateway sent them."""
    persona = {"name": "비노슈", "emoji": "🌀", "type": {"of": ["any"]}}
    given = {"persona": persona, "sources": ["google_ai", "새 출처"], "timestamp": "2025-10-24 10:09"}
    with proxy.gateway.scripted(answer_with("hi", **given)):
        found = lumen_metadata(proxy.ask("안녕"))
    expect_equal({key: found.get(key) for key in given}, given, "lumen_metadata")


@check_each(
    "fields",
    {
        "G4-extra-fields": {"resonance": 0.9, "debug": {"a": [None]}, "error": None},
        "G4-no-sources": {"sources": []},
        "G4-timestamp-with-zone": {"timestamp": "2025-10-24T10:09:00.123456+09:00"},
        "G4-timestamp-odd": {"timestamp": "어제"},
        "G4-persona-with-name-only": {"persona": {"name": "x"}},
    },
    source="docs/behaviour.md: only response is required",
)
def test_tolerated(fields: dict[str, object], proxy: ContractSession) -> None:
    """An answer of the gateway with unknown or unusual fields ({row}) keeps its text."""
    with proxy.gateway.scripted(answer_with("words", **fields)):
        capture = proxy.ask("안녕")
    expect_text(capture, "words")


@check("G4-ignored-is-disclosed", tier="S", source="docs/behaviour.md: lumen_metadata")
def test_ignored_is_disclosed(proxy: ContractSession) -> None:
    """The answer lists the parameters that the gateway does not support."""
    capture = proxy.ask("안녕", temperature=0.5, max_tokens=7, seed=1, thinking={"budget": 1})
    found = lumen_metadata(capture).get("ignored_parameters")
    named = sorted(map(str, found)) if isinstance(found, list) else found
    expect_equal(named, ["max_tokens", "seed", "temperature", "thinking"], "lumen_metadata.ignored_parameters")


@check("G4-in-streams", tier="S", source="docs/behaviour.md: lumen_metadata")
def test_metadata_in_streams(proxy: ContractSession) -> None:
    """A stream has the same metadata in the chunk with the finish_reason."""
    found = [chunk for chunk in chunks(proxy.stream) if "lumen_metadata" in chunk.value]
    finishes = [choice.value.get("finish_reason") for chunk in found for choice in choices_in(chunk)]
    expect_equal(finishes, ["stop"], "finish_reason of the chunks with lumen_metadata")
    expect_equal(
        child_object(found[0].value, "lumen_metadata").get("persona"), {"name": "세나"}, "lumen_metadata.persona"
    )
