"""The checks of the contract, as pytest collects them for a target of each profile."""

from __future__ import annotations

from functools import cache
from typing import Final

from lumen_conformance.targets.target import Profile
from tests.contract import conftest
from tests.fixtures.check_session import CheckSession

# The options that describe a target of each profile; its command is never run.
_OPTIONS: Final[dict[Profile, tuple[str, ...]]] = {
    "lumen": (),
    "openai": ("--proxy-command", "reference {gateway_url}", "--proxy-can", "models,n,tools,health,json"),
}
# Tests of real clients and of processes need more than the wire; what is not declared is skipped.
_WITHOUT: Final = frozenset({"clients", "process", "skip"})


@cache
def contract(profile: Profile) -> CheckSession:
    """Every check of the wire of a profile; raises RuntimeError when pytest refuses a module."""
    return CheckSession("tests/contract", *_OPTIONS[profile], conftest=conftest, without=_WITHOUT)
