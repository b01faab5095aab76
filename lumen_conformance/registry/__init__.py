"""Declare checks, and record their measurements and failures."""

from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.measurement import EvidenceFixture, MeasureFixture, WarnFixture, record_evidence
from lumen_conformance.registry.refutation import NotJudged, Refuted, expect

__all__ = [
    "Check",
    "EvidenceFixture",
    "MeasureFixture",
    "NotJudged",
    "Refuted",
    "WarnFixture",
    "check",
    "check_each",
    "expect",
    "record_evidence",
]
