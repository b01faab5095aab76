"""The shared exchanges and the checks that fail for them."""

from __future__ import annotations

import pytest

from lumen_conformance.contract.exchanges import EXCHANGES, TOKEN_COUNT_TEXTS
from lumen_conformance.contract.prerequisites import (
    PROFILE_RESPONSIBLE_CHECKS,
    RESPONSIBLE_CHECKS,
    needs_chat,
    needs_stream,
)
from lumen_conformance.targets.target import Profile
from tests.matrix.contract import contract


@pytest.mark.parametrize("length", [len, lambda text: len(text.encode())], ids=["characters", "bytes"])
def test_texts_of_every_length(length: object) -> None:
    """The texts for token counts have all lengths modulo 4, in characters and in bytes."""
    assert callable(length)
    assert {length(text) % 4 for text in TOKEN_COUNT_TEXTS.values()} == {0, 1, 2, 3}


@pytest.mark.parametrize("profile", ["lumen", "openai"])
def test_responsible_checks_exist(profile: Profile) -> None:
    """The check of an exchange is in the same profile, or it needs a capability that the target does not declare."""
    known = contract(profile).checks
    named = {*RESPONSIBLE_CHECKS.values(), *PROFILE_RESPONSIBLE_CHECKS[profile].values()}
    # Checks of targets with a key, of our own health, and of tools, which our own proxy does not have.
    elsewhere = {"F3-no-key", "H4-health", *({"C9.1", "C9.7", "E8.4"} if profile == "lumen" else ())}
    assert named - known <= elsewhere


def test_every_kind_of_refusal_has_its_check() -> None:
    """Each kind of error has a check that fails when the request is not refused."""
    assert {*EXCHANGES} - {*RESPONSIBLE_CHECKS, *PROFILE_RESPONSIBLE_CHECKS["lumen"]} == set()


def test_the_root_itself_is_judged() -> None:
    """C1.1, which other checks depend on, has no precondition; nor have checks of processes and keys."""
    for check in ("C1.1", "A1", "F3-no-key", "H3-list", "H4-health", "K0"):
        assert not needs_chat(check)
    for check in ("C3.2", "C3.3", "F3-oversize", "F3-oversize-huge"):  # else one unknown path is many failures
        assert needs_chat(check)
    assert not needs_stream("C1.1", {"streamed": True})
    assert needs_stream("C3.2", {"streamed": True})
