"""J: structured output. The gateway of the suite answers in the requested format, with the question in each string.

A proxy that does not forward the format fails G15-response-format-…, which names this cause; J1 is not judged then.
"""

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import check_each_judge
from lumen_conformance.checks.j_structured import FITTING, OBJECT
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.forwarded import requests_behind
from lumen_conformance.contract.session import ClaimAssertion, ContractSession
from lumen_conformance.gateway.openai_requests import read_object
from lumen_conformance.http.client import Capture
from lumen_conformance.registry.refutation import NotJudged

QUESTION = "Describe Paris in JSON: its name (city), whether it is at a coast (coastal), and its rivers (rivers)."
FORMATS = {"object": OBJECT, "schema": FITTING}
FORMAT_OF = {"J1.1": "object", "J1.2": "schema"}


def ask_for_json(proxy: ContractSession, name: str, *, stream: bool) -> Capture:
    """Ask for a format; it is asked once for all checks."""
    how = "stream" if stream else "plain"
    return proxy.once(f"json {name} {how}", lambda: proxy.ask(QUESTION, stream=stream, response_format=FORMATS[name]))


def is_lost(proxy: ContractSession, capture: Capture, name: str) -> bool:
    """Whether the gateway of this request has formats, and did not receive this one."""
    asked = [read_object(call).get("response_format") for call in requests_behind(proxy, capture)]
    return bool(asked) and proxy.target.profile == "openai" and FORMATS[name] not in asked


def need_format(proxy: ContractSession, judge: Judge, capture: Capture, name: str) -> None:
    """Raise `NotJudged` when a claim is broken and the gateway did not receive the format."""
    if is_lost(proxy, capture, name) and judge(capture, proxy.judge_context).failure:
        raise NotJudged("the request to the gateway has no such response_format", (f"G15-response-format-{name}",))


@STREAMED
@check_each_judge(judges("J1.1", "J1.2"), pytest.mark.needs("json"))
def test_structured(judge: Judge, stream: bool, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:  # noqa: FBT001 -- a row
    """A target that declares json gives JSON."""
    name = FORMAT_OF[judge.claim.check]
    capture = ask_for_json(proxy, name, stream=stream)
    need_format(proxy, judge, capture, name)
    assert_holds(judge, capture)


@pytest.mark.parametrize("name", FORMATS)
@check_each_judge(judges("J1.3"))
def test_not_ignored(judge: Judge, name: str, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A target that does not declare json gives JSON, or refuses."""
    if "json" in proxy.target.can:
        pytest.skip("not applicable: the target declares json, and J1.1 and J1.2 judge it")
    capture = ask_for_json(proxy, name, stream=False)
    need_format(proxy, judge, capture, name)
    assert_holds(judge, capture)
