"""The catalogue of judges, and its table in the documentation."""

from pathlib import Path

import pytest

from lumen_conformance.checks import catalogue

DOCS = Path(__file__).resolve().parents[3] / "docs" / "contract-checks.md"


def test_table_in_the_docs() -> None:
    """The table in docs/contract-checks.md is up to date."""
    assert catalogue.table() in DOCS.read_text("utf-8")


def test_claims_are_unlike_one_another() -> None:
    """Every claim has a tier, a source and a unique text."""
    texts = [claim.text for claim in catalogue.CLAIMS.values()]
    assert len(set(texts)) == len(texts)
    assert all(claim.source for claim in catalogue.CLAIMS.values())
    assert {claim.tier for claim in catalogue.CLAIMS.values()} == {"M", "S", "W"}


def test_selection() -> None:
    """An id selects the judge with this id and those under it, and no ids that only begin with the same characters."""
    assert [judge.claim.check for judge in catalogue.judges("F4", "D7", "C6.1")] == ["C6.1", "D7", "F4"]
    below = {name for name in catalogue.JUDGES if name.startswith("E1.")}
    assert {judge.claim.check for judge in catalogue.judges("E1")} == below


def test_unknown_selection() -> None:
    """An unknown id raises KeyError."""
    with pytest.raises(KeyError):
        catalogue.judges("Z9")
