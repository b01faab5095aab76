"""The shared exchanges are what their checks need them to be."""

from __future__ import annotations

import pytest

from lumen_conformance.contract.exchanges import COUNTED, KINDS
from lumen_conformance.contract.prerequisites import RESPONSIBLE, RESPONSIBLE_OF_PROFILE, needs_chat, needs_stream
from lumen_conformance.targets.target import Profile
from tests.matrix.contract import contract


@pytest.mark.parametrize("length", [len, lambda text: len(text.encode())], ids=["characters", "bytes"])
def test_texts_of_every_length(length: object) -> None:
    """The texts that counts are asked of have all lengths modulo 4, however a server counts."""
    assert callable(length)
    assert {length(text) % 4 for text in COUNTED.values()} == {0, 1, 2, 3}


@pytest.mark.parametrize("profile", ["lumen", "openai"])
def test_responsible_checks_exist(profile: Profile) -> None:
    """What is not judged names a check of the same profile, or one that needs what the target does not declare."""
    known = contract(profile).checks
    named = {*RESPONSIBLE.values(), *RESPONSIBLE_OF_PROFILE[profile].values()}
    elsewhere = {"F3.no-key", "H4.health"}  # of targets with a key, of our own health
    assert named - known <= elsewhere


def test_every_kind_of_refusal_has_its_check() -> None:
    """Each kind of refusal has a check that fails where nothing is refused."""
    assert {*KINDS} - {*RESPONSIBLE, *RESPONSIBLE_OF_PROFILE["lumen"]} == set()


def test_the_root_itself_is_judged() -> None:
    """C1.1, which everything else is not judged because of, needs nothing; nor do claims about processes and keys."""
    for check in ("C1.1", "A1", "F3.no-key", "H3.list", "H4.health", "K0"):
        assert not needs_chat(check)
    assert not needs_stream("C1.1", {"streamed": True})
    assert needs_stream("C3.2", {"streamed": True})
