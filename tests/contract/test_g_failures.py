"""G3, G8: each failure of the gateway is told with the right status, code and hint, and never as an answer."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.contract.failures import FAILURES, NO_RETRY, Failure
from tests.contract.talking import DEADLINE_S, Demand, Talk
from tests.fixtures.captured import WITNESS, Capture
from tests.fixtures.gateway import Gateway
from tests.fixtures.judges.asking import child
from tests.fixtures.judges.catalogue import JUDGES, REFUSAL
from tests.fixtures.judges.documents import answer
from tests.fixtures.processes import HasUrl, Launches
from tests.fixtures.replies import dripping, reset_before_reading, says, silent
from tests.fixtures.report.checks import check, check_each

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
SLACK_S = 5.0  # between a deadline and its answer, on a machine that is busy with other workers


@pytest.fixture
def no_script_left(talk: Talk) -> Iterator[None]:
    """One reply for one request: what was scripted must have been played, or the next test would get it."""
    yield
    assert talk.gateway.unplayed == 0


def told(seen: Capture) -> tuple[int | None, str, str]:
    """Status, type and code of a refusal."""
    error = child(answer(seen), "error")
    return seen.status, str(error.get("type")), str(error.get("code"))


def hints_of(seen: Capture) -> dict[str, str]:
    """The headers that tell a client whether to try again."""
    return {name: value for name, value in seen.headers if name in {"retry-after", "x-should-retry"}}


@STREAMED
@check_each("row", {f"G3.{name}": row for name, row in FAILURES.items()})
@pytest.mark.usefixtures("no_script_left")
def test_failure(row: Failure, stream: bool, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway has its own status and code, asks it once, and is never an answer."""
    asked = len(talk.gateway.calls)
    talk.gateway.script(row.reply)
    seen = talk.ask("안녕", stream=stream)
    assert told(seen) == (row.status, row.type, row.code)
    assert len(talk.gateway.calls) == asked + 1
    for judge in (*REFUSAL, JUDGES["F4"]):
        demand(judge, seen)


@check_each("row", {f"G8.{name}": row for name, row in FAILURES.items()})
@pytest.mark.usefixtures("no_script_left")
def test_hints(row: Failure, talk: Talk) -> None:
    """A client is told whether, and when, to try again."""
    talk.gateway.script(row.reply)
    assert hints_of(talk.ask("안녕")) == dict(row.hints)


@check_each("given", {f"G8.retry-after-{given}": given for given in ("0", "1", "120", "3600", "-5", "soon")})
@pytest.mark.usefixtures("no_script_left")
def test_retry_after_range(given: str, talk: Talk) -> None:
    """A Retry-After is passed on as whole seconds from 1 to 120, which the OpenAI SDKs obey."""
    talk.gateway.script(says({}, 429, headers=(("Retry-After", given),)))
    found = talk.ask("안녕").header("retry-after") or ""
    assert found.isdigit()
    assert 1 <= int(found) <= 120
    if given in {"1", "120"}:
        assert found == given


@STREAMED
@check("G3.reset-before-reading")
@pytest.mark.usefixtures("no_script_left")
def test_reset_before_reading(stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """A gateway that resets every connection is a 502: unreachable or lost, as far as the request got."""
    standing, talk.gateway.standing = talk.gateway.standing, reset_before_reading
    try:
        seen = talk.ask("안녕", stream=stream)
    finally:
        talk.gateway.standing = standing
    status, kind, code = told(seen)
    assert (status, kind) == (502, "server_error")
    assert code in {"gateway_unreachable", "gateway_connection_lost"}  # the reset races the first byte of the request


SLOW = {"silent": silent, "dripping": dripping(0.05)}


@pytest.fixture(scope="module")
def too_late(hasty: Talk) -> Callable[[str], tuple[Capture, int]]:
    """An answer that did not come in time, and how often the gateway was asked for it; waited for once."""

    @cache
    def asked(name: str) -> tuple[Capture, int]:
        before = len(hasty.gateway.chats)
        hasty.gateway.script(SLOW[name])
        return hasty.ask("안녕" * 50), len(hasty.gateway.chats) - before

    def seen(name: str) -> tuple[Capture, int]:
        WITNESS.saw(asked(name)[0])
        return asked(name)

    return seen


@check_each("name", {f"G3.{name}": name for name in SLOW})
def test_timeout(name: str, too_late: Callable[[str], tuple[Capture, int]], demand: Demand) -> None:
    """A gateway that does not finish in time is a 504, however busy it looks, within the one deadline."""
    seen, calls = too_late(name)
    assert told(seen) == (504, "server_error", "gateway_timeout")
    assert seen.elapsed_s < DEADLINE_S + SLACK_S
    assert calls == 1
    for judge in REFUSAL:
        demand(judge, seen)


class Nowhere:
    """A gateway that is only an address."""

    def __init__(self, url: str) -> None:
        self.url = url


UNREACHABLE = (("retry-after", "2"),)
ADDRESSES: dict[str, tuple[str | None, str, tuple[tuple[str, str], ...]]] = {
    "refused": (None, "gateway_unreachable", UNREACHABLE),
    "dns": ("http://nobody.invalid", "gateway_unreachable", UNREACHABLE),
    "tls": ("https://{gateway}", "gateway_misconfigured", NO_RETRY),
}


@pytest.fixture(scope="module")
def cut_off(module_launch: Launches, echoing: Gateway) -> Callable[[str], Talk]:
    """A proxy whose gateway is at one of these addresses, launched once for each."""

    @cache
    def launched(name: str) -> Talk:
        address = ADDRESSES[name][0]
        where: HasUrl | None = Nowhere(address.format(gateway=f"127.0.0.1:{echoing.port}")) if address else None
        return Talk(module_launch(gateway=where, env={"LUMEN_STANDBY": "0"}), echoing)

    return launched


@STREAMED
@check_each("name", {f"G3.{name}": name for name in ADDRESSES})
def test_unreachable(name: str, stream: bool, cut_off: Callable[[str], Talk], demand: Demand) -> None:  # noqa: FBT001
    """A gateway that cannot be reached at all is a 502."""
    seen = cut_off(name).ask("안녕", stream=stream)
    assert told(seen) == (502, "server_error", ADDRESSES[name][1])
    for judge in (*REFUSAL, JUDGES["F4"]):
        demand(judge, seen)


@check_each("name", {f"G8.{name}": name for name in ADDRESSES})
def test_unreachable_hints(name: str, cut_off: Callable[[str], Talk]) -> None:
    """A client is told whether to try again where no gateway can be reached."""
    assert hints_of(cut_off(name).ask("안녕")) == dict(ADDRESSES[name][2])


@check("G8.silent")
def test_timeout_hints(too_late: Callable[[str], tuple[Capture, int]]) -> None:
    """A client is told not to ask again what may have been paid for."""
    assert hints_of(too_late("silent")[0]) == dict(NO_RETRY)
