"""The scripted gateway keeps the contract that forwarders are judged by; else they are accused of its own faults."""

import pytest

from tests.fixtures.gateway import Gateway
from tests.fixtures.outer import Run, run

CAN = "--proxy-can=models,n,tools,health"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole contract, run against a gateway by its URL."""
    with Gateway() as gateway:
        options = (f"--proxy-url={gateway.url}", "--proxy-model=gpt-4o-mini", CAN, "--proxy-load")
        return run(tmp_path_factory.mktemp("judged"), *options)


def test_no_check_fails(judged: Run) -> None:
    """No check of any tier fails, warns or is an error."""
    assert (judged.status, judged.ids("failed", "error", "warned")) == (0, set()), judged.output


def test_the_contract_was_asked(judged: Run) -> None:
    """The checks ran: those of every chapter that needs no gateway behind the target."""
    passed = judged.ids("passed")
    assert len(passed) > 200
    assert {one[0] for one in passed} >= set("BCDEFH")
    assert passed >= {"C3.3", "E5.1", "E8.4", "F3.media-type-text", "F3.oversize-huge", "F7", "H2.id-stream", "H3.each"}
    assert all(
        reason.startswith(("the target does not declare: ", "needs a gateway")) for reason in judged.reasons("skipped")
    )
