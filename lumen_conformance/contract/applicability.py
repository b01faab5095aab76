"""The targets to which each check applies.

A check that is not listed here applies to every OpenAI-compatible server. A row has a pattern of check ids, or an
exchange, and the pytest marks that `lumen_conformance.targets.target` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from lumen_conformance.contract.bad_requests import UNSUPPORTED_REQUESTS
from lumen_conformance.contract.tool_requests import SCRIPTED_EXCHANGES, TOOL_EXCHANGES
from lumen_conformance.registry.declaration import check_of

LUMEN, OPENAI = pytest.mark.profile("lumen"), pytest.mark.profile("openai")
GATEWAY, MODELS, AUTH, LOAD = (
    pytest.mark.needs("gateway"),
    pytest.mark.needs("models"),
    pytest.mark.needs("auth"),
    pytest.mark.load,
)
SEVERAL, TOOLS = pytest.mark.needs("n"), pytest.mark.needs("tools")

CHECKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "C3.3": (SEVERAL,),  # a target that does not declare n may refuse it
    "D4": (GATEWAY,),  # a model may generate U+FFFD, an echo does not
    "D5-waits": (LUMEN,),  # only our own proxy sends comments while it waits for its gateway
    "E11.2": (GATEWAY,),  # the answers of a model differ in tokens that nobody sees
    "E9": (GATEWAY,),
    "F2-max-tokens-zero": (LUMEN,),  # openapi.yaml has no minimum
    "F2-max-tokens-zero-*": (LUMEN,),
    "F3-exact-*": (LUMEN, LOAD),
    "F3-oversize*": (LOAD,),
    "F2-n-high*": (LOAD,),  # 129 answers may cost money
    "F3-limit-is-inclusive": (LUMEN, LOAD),  # 1 MiB is a limit of our own proxy
    "F3-malformed": (LUMEN,),  # the HTTP server below a target answers invalid HTTP
    "F3-unknown-route-root": (LUMEN,),  # a server may have other pages outside /v1
    "F3-unknown-model": (MODELS,),
    "F3-wrong-method-delete": (MODELS,),
    "F3-*key*": (AUTH,),
    "F3-key-guards-models*": (LUMEN,),
    "F3-key-stays-here": (LUMEN, GATEWAY),
    "F5-code-*": (LUMEN,),
    "F7": (LOAD,),  # a valid request after each bad one
    "F7-odd-max-tokens-zero-*": (OPENAI,),  # as F2-max-tokens-zero-never-fails, which is of the profile lumen
    "G5-stream-byte-by-byte": (OPENAI,),  # the Lumen Gateway has no streams
    "G14-*-before-first-byte": (GATEWAY,),  # without one, nobody can say that a question has arrived
    "G14-*-in-mid-stream": (OPENAI,),  # as above
    "H1-head-health": (LUMEN,),
    "H1-head-models": (MODELS,),
    "H1-slash-chat-bare": (LUMEN,),  # without /v1
    "H2-id-*": (LUMEN,),  # OpenAI gives each response an id of its own
    "H2-id-models": (MODELS,),
    "H3-*": (MODELS,),
    "H3-list-bare*": (LUMEN,),
    "H4-lenient-*": (LUMEN,),  # OpenAI refuses some of them, LM Studio refuses others
    "H4-no-model": (LUMEN,),  # OpenAI requires one
    "H4-unknown-*": (LUMEN,),  # OpenAI refuses them: unknown_parameter
    "H4-no-tools": (LUMEN,),  # OpenAI refuses empty lists
    "H4-assistant-content-null": (LUMEN,),  # with `tool_calls: null`, which OpenAI's schema does not allow
    "H4-health": (LUMEN, pytest.mark.needs("health")),
    "H8-gateway-*": (OPENAI, GATEWAY),
    "K*": (LUMEN,),  # the clients run against our own proxy
    # A target that supports images, required tools or JSON mode need not refuse them.
    **{f"F2-{name}": (LUMEN,) for name in UNSUPPORTED_REQUESTS},
    **{f"F2-{name}-{of}": (LUMEN,) for name in UNSUPPORTED_REQUESTS for of in ("param", "never-fails")},
}
EXCHANGES: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "waited": (GATEWAY,),
    "models": (MODELS,),
    "model": (MODELS,),
    "malformed": (LUMEN,),
    "oversize": (LOAD,),  # a target that accepts large requests is not tested
    "no_key": (AUTH,),
    "unknown_model": (MODELS,),
    "gateway_error": (GATEWAY,),
    "gateway_reset": (GATEWAY,),
    "gateway_away": (GATEWAY,),
    **dict.fromkeys(TOOL_EXCHANGES, (TOOLS,)),
    **dict.fromkeys(SCRIPTED_EXCHANGES, (TOOLS, GATEWAY, OPENAI)),
    "health": (LUMEN, pytest.mark.needs("health")),  # no specification but ours describes the health endpoint
}


def applicability_marks(item: pytest.Item) -> Iterator[pytest.MarkDecorator]:
    """The marks of a test in the tables."""
    found = check_of(item)
    for pattern, marks in CHECKS.items() if found else ():
        if found and fnmatchcase(found.id, pattern):
            yield from marks
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    claim = getattr(params.get("judge") or params.get("comparison"), "claim", None)
    if claim and claim.profile != "any":
        yield pytest.mark.profile(claim.profile)
    yield from EXCHANGES.get(str(params.get("exchange")), ())
    if "late_failure" in params:
        yield GATEWAY
        yield OPENAI if str(params["late_failure"]).startswith("forwarded-") else LUMEN
