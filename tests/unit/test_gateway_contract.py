"""The scripted gateway passes the contract: a forwarder must not be accused of faults of its gateway."""

import pytest

from tests.fixtures.gateway import Gateway
from tests.fixtures.outer import Run, run

CAN = "--proxy-can=models,n,tools,health"
BROKEN = {"failed", "error", "warned"}
PASSED = 200  # 260 pass today; the bound leaves room for checks that are removed


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole contract, run against a gateway by its URL."""
    with Gateway() as gateway:
        options = (f"--proxy-url={gateway.url}", "--proxy-model=gpt-4o-mini", CAN, "--proxy-load")
        return run(tmp_path_factory.mktemp("judged"), *options)


def test_no_check_fails(judged: Run) -> None:
    """No check of tier M or S fails, warns or is an error."""
    broken = [one for one in judged.verdicts if one["outcome"] in BROKEN and one["tier"] != "W"]
    assert (judged.status, broken) == (0, []), judged.output


def test_the_contract_was_asked(judged: Run) -> None:
    """Hundreds of checks pass, some of each chapter that needs no gateway behind the target."""
    passed = judged.ids("passed")
    assert len(passed) > PASSED
    assert {one[0] for one in passed} >= set("BCDEFH")
    assert passed >= {"C3.3", "E5.1", "E8.4", "F3.media-type-text", "F3.oversize-huge", "F7", "H2.id-stream", "H3.each"}
