"""For whom a check holds: one table, so that nobody has to look for exceptions in the tests.

Everything that is not named here holds for every OpenAI-compatible server. A row names checks (with ``*`` for any
text), exchanges or broken streams, and the marks that `targets.py` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from lumen_conformance.contract.bad_requests import LIMITS
from lumen_conformance.registry.declaration import check_of

LUMEN, OPENAI = pytest.mark.profile("lumen"), pytest.mark.profile("openai")
GATEWAY, MODELS, AUTH, LOAD = (
    pytest.mark.needs("gateway"),
    pytest.mark.needs("models"),
    pytest.mark.needs("auth"),
    pytest.mark.load,
)
SEVERAL = pytest.mark.needs("n")

CHECKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "C3.3": (SEVERAL,),  # whoever does not declare n may refuse it
    "D4": (GATEWAY,),  # a model may say U+FFFD by itself, an echo does not
    "D5.waits": (LUMEN,),  # only our own proxy promises signs of life while its gateway thinks
    "E9": (GATEWAY,),
    "F2.max-tokens-zero": (LUMEN,),  # openapi.yaml has no minimum
    "F2.max-tokens-zero.*": (LUMEN,),
    "F3.exact-*": (LUMEN, LOAD),
    "F3.oversize*": (LOAD,),
    "F2.n-high*": (LOAD,),  # whoever gives 129 answers is paid for them
    "F3.limit-is-inclusive": (LUMEN, LOAD),  # 1 MiB is a limit of our own
    "F3.malformed": (LUMEN,),  # what is no HTTP is answered by whatever server a target is built on
    "F3.unknown-route-root": (LUMEN,),  # beside /v1 a server may have pages of its own
    "F3.unknown-model": (MODELS,),
    "F3.wrong-method-delete": (MODELS,),
    "F3.*key*": (AUTH,),
    "F3.key-guards-models*": (LUMEN,),
    "F3.key-stays-here": (LUMEN, GATEWAY),
    "F5.code-*": (LUMEN,),
    "F7": (LOAD,),  # a healthy request for each bad one
    "G5.stream-byte-by-byte": (OPENAI,),  # the gateway of our own wire has no streams
    "H1.head-health": (LUMEN,),
    "H1.head-models": (MODELS,),
    "H1.slash-chat-bare": (LUMEN,),  # without /v1
    "H2.id-models": (MODELS,),
    "H3.*": (MODELS,),
    "H3.list-bare*": (LUMEN,),
    "H4.lenient-*": (LUMEN,),  # OpenAI refuses some of them, LM Studio others
    "H4.no-model": (LUMEN,),  # OpenAI requires one
    "H4.no-tools": (LUMEN,),  # OpenAI refuses empty lists
    "H4.assistant-content-null": (LUMEN,),  # with `tool_calls: null`, which the schema of OpenAI does not have
    "H4.health": (LUMEN, pytest.mark.needs("health")),
    "K*": (LUMEN,),  # what real clients get, act by act, from our own proxy
    # Whoever can look at images, call a tool that must be called, or answer in JSON need not refuse to.
    **{f"F2.{name}": (LUMEN,) for name in LIMITS},
    **{f"F2.{name}.*": (LUMEN,) for name in LIMITS},
}
EXCHANGES: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "waited": (GATEWAY,),
    "models": (MODELS,),
    "model": (MODELS,),
    "malformed": (LUMEN,),
    "oversize": (LOAD,),  # whoever has room for it refuses nothing, and is not judged by it
    "no_key": (AUTH,),
    "unknown_model": (MODELS,),
    "gateway_error": (GATEWAY,),
    "gateway_reset": (GATEWAY,),
    "gateway_away": (GATEWAY,),
    "health": (LUMEN, pytest.mark.needs("health")),  # there is no contract for health beyond our own
}


def marks_of(item: pytest.Item) -> Iterator[pytest.MarkDecorator]:
    """The marks that the tables have for a test."""
    found = check_of(item)
    for pattern, marks in CHECKS.items() if found else ():
        if found and fnmatchcase(found.id, pattern):
            yield from marks
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    claim = getattr(params.get("judge") or params.get("comparison"), "claim", None)
    if claim and claim.profile != "any":
        yield pytest.mark.profile(claim.profile)
    yield from EXCHANGES.get(str(params.get("exchange")), ())
    if "broken" in params:
        yield GATEWAY
        yield OPENAI if str(params["broken"]).startswith("forwarded-") else LUMEN
