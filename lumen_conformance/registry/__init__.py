"""How a check is declared, and what it hands to the report."""

from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.measurement import Evidence, Measure, Warn, record_evidence
from lumen_conformance.registry.refutation import NotJudged, Refuted, expect

__all__ = [
    "Check",
    "Evidence",
    "Measure",
    "NotJudged",
    "Refuted",
    "Warn",
    "check",
    "check_each",
    "expect",
    "record_evidence",
]
