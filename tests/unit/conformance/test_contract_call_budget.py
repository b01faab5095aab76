"""By URL, the printed number of chat calls is an upper bound, and all calls are for the named model.

The target is the scripted gateway itself, which passes the contract.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lumen_conformance.contract.call_budget import max_chat_calls
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.targets.endpoint import CHAT
from tests.fixtures.suite_subprocess import SuiteRun, run

MODEL = "a-model-that-costs"
CHOICES = 10  # more choices than any check requests without --proxy-load
BROKEN = {"failed", "error", "warned"}
PASSED = 200  # 260 pass today; the bound leaves room for checks that are removed
ALL = ("--proxy-can=models,n,tools,health,json", "--proxy-health-path=/health")  # the capabilities of the gateway
# The whole contract is counted below. A profile and a key add checks that have marks of their own.
SELECTIONS = {
    "lumen": ("-m", "contract and profile", "--proxy-profile=lumen", "--proxy-can=health,n"),
    "with-a-key": ("-m", "contract and needs", "--proxy-api-key=k", "--proxy-can=auth"),
    "refused-before": ("-k", "test_refused_before"),
    "known": ("-k", "C8 or E1 or F3-no-key"),
    "in-parallel": ("-k", "C8 or E1 or F3-no-key", "-n2"),
}


def spent(folder: Path, *options: str) -> tuple[SuiteRun, list[ReceivedRequest]]:
    """A run against a recording server, and the chat calls that the server received."""
    with ScriptedGateway() as server:
        named = (f"--proxy-url={server.url}/v1", f"--proxy-model={MODEL}", "--proxy-health-path=none", "-q")
        can = () if any("--proxy-can" in word for word in options) else ("--proxy-can=models,n,tools",)
        ended = run(folder, *named, *can, *options)
        return ended, [call for call in server.calls if call.path.startswith(CHAT) and call.method == "POST"]


def body_of(call: ReceivedRequest) -> dict[str, object]:
    """The JSON object of a call; empty when its body is not an object."""
    try:
        body = call.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def assert_is_bounded(ended: SuiteRun, calls: list[ReceivedRequest]) -> None:
    """The calls are at most as many as printed, for few choices and for the named model."""
    said = re.search(r"by URL: at most (\d+) chat calls of a-model-that-costs at", ended.output)
    assert said, ended.output
    assert ended.output.count("by URL: at most") == 1
    assert 0 < len(calls) <= int(said[1])
    named = {json.dumps(body["model"]) for call in calls if "model" in (body := body_of(call))}
    assert named <= {json.dumps(MODEL), "1", "null"}  # F2-model-number and H4-no-model send no name
    numbers = [body.get("n") for call in calls if (body := body_of(call))]
    assert all(number < CHOICES for number in numbers if type(number) is int)


@pytest.mark.parametrize("name", SELECTIONS)
def test_no_more_than_was_said(name: str, tmp_path: Path) -> None:
    """No selection makes more chat calls than printed, requests many choices, or calls another model."""
    assert_is_bounded(*spent(tmp_path, *SELECTIONS[name]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[SuiteRun, list[ReceivedRequest]]:
    """A run of the contract without --proxy-load."""
    return spent(tmp_path_factory.mktemp("whole"), "-m", "contract", *ALL)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """A run of the checks with many or very large requests."""
    return spent(tmp_path_factory.mktemp("loaded"), "-m", "contract and load", "--proxy-load", *ALL)[0]


def test_the_whole_contract_makes_no_more(whole: tuple[SuiteRun, list[ReceivedRequest]]) -> None:
    """A run of the contract makes no more chat calls than printed, requests few choices, and calls no other model."""
    assert_is_bounded(*whole)


def test_no_check_fails(whole: tuple[SuiteRun, list[ReceivedRequest]], loaded: SuiteRun) -> None:
    """The scripted gateway passes the contract, so a forwarding target does not fail for defects of its gateway."""
    for ended in (whole[0], loaded):
        broken = [one for one in ended.verdicts if one["outcome"] in BROKEN and one["tier"] != "W"]
        assert (ended.status, broken) == (0, []), ended.output


def test_the_contract_was_asked(whole: tuple[SuiteRun, list[ReceivedRequest]], loaded: SuiteRun) -> None:
    """Hundreds of checks pass, some of each chapter that needs no gateway behind the target."""
    passed = whole[0].ids("passed") | loaded.ids("passed")
    assert len(passed) > PASSED
    assert {one[0] for one in passed} >= set("BCDEFH")
    assert passed >= {"C3.3", "E5.1", "E8.4", "F3-media-type-text", "F3-oversize-huge", "F7", "H2-ten", "H3-each"}


COUNTED = """
    import pytest

    def test_one(): "One call of its own."
    def test_own_answers(): "Four calls of its own."
    def test_answer(): "No call of its own."

    @pytest.mark.skip
    def test_two(): "It is skipped."

    @pytest.mark.parametrize("exchange", ["refusal", "unparsable"])
    def test_envelope(exchange): "It reads an exchange that each process makes once."
"""


def test_the_bound_is_no_larger_than_the_calls(pytester: pytest.Pytester) -> None:
    """The bound is the sum of the calls of each test that runs, and of the shared exchanges of each worker."""
    items = pytester.getitems(COUNTED)
    assert [max_chat_calls(items, workers, load=False) for workers in (1, 3)] == [5 + 2, 5 + 3 * 2]
