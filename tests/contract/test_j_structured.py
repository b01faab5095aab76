"""J: structured output. The gateway of the suite answers in the requested format, with the question in each string."""

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import check_each_judge
from lumen_conformance.checks.j_structured import FITTING, OBJECT
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.session import ClaimAssertion, ContractSession
from lumen_conformance.gateway.openai_requests import read_object
from lumen_conformance.http.client import Capture

QUESTION = "Describe Paris in JSON: its name (city), whether it is at a coast (coastal), and its rivers (rivers)."
FORMATS = {"object": OBJECT, "schema": FITTING}
FORMAT_OF = {"J1.1": "object", "J1.2": "schema"}


def ask_for_json(proxy: ContractSession, name: str, *, stream: bool) -> Capture:
    """Ask for a format; it is asked once for all checks."""
    how = "stream" if stream else "plain"
    return proxy.once(f"json {name} {how}", lambda: proxy.ask(QUESTION, stream=stream, response_format=FORMATS[name]))


def describe_forwarding(proxy: ContractSession, capture: Capture, name: str) -> str:
    """Say that the gateway received no such format for this request; empty when it did, or has no formats."""
    began_mono_s = capture.sent_mono_s - (capture.elapsed_s - capture.ended_s)
    ended_mono_s = capture.sent_mono_s + capture.ended_s
    calls = [call for call in proxy.gateway.chats if began_mono_s <= call.at_mono_s <= ended_mono_s]
    asked = [read_object(call).get("response_format") for call in calls]
    is_known = not asked or proxy.target.profile != "openai"
    return "" if is_known or FORMATS[name] in asked else "the request to the gateway has no such response_format"


@STREAMED
@check_each_judge(judges("J1.1", "J1.2"), pytest.mark.needs("json"))
def test_structured(judge: Judge, stream: bool, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:  # noqa: FBT001 -- a row
    """A target that declares json gives JSON."""
    name = FORMAT_OF[judge.claim.check]
    capture = ask_for_json(proxy, name, stream=stream)
    assert_holds(judge, capture, about=describe_forwarding(proxy, capture, name))


@pytest.mark.parametrize("name", FORMATS)
@check_each_judge(judges("J1.3"))
def test_not_ignored(judge: Judge, name: str, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A target that does not declare json gives JSON, or refuses."""
    if "json" in proxy.target.can:
        pytest.skip("not applicable: the target declares json, and J1.1 and J1.2 judge it")
    capture = ask_for_json(proxy, name, stream=False)
    assert_holds(judge, capture, about=describe_forwarding(proxy, capture, name))
