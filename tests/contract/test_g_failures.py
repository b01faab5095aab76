"""G3, G8: each failure of the gateway is told with the right status, code and hint, and never as an answer."""

from collections.abc import Callable, Mapping
from functools import cache

import pytest

from lumen_conformance.checks.findings import child
from lumen_conformance.contract.expectations import describe, expect_error, expect_one_call, told_header
from lumen_conformance.contract.gateway_failures import FAILURES, NO_RETRY
from lumen_conformance.contract.gateway_failures import Failure as GatewayFailure
from lumen_conformance.contract.prerequisites import need_refusal
from lumen_conformance.contract.session import DEADLINE_S, Talk
from lumen_conformance.gateway.replies import drip, reset_before_reading, respond_with, silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import WITNESS, Capture
from lumen_conformance.http.documents import answer
from lumen_conformance.registry.declaration import Check, Tier, check, check_each
from lumen_conformance.registry.refutation import expect
from lumen_conformance.targets.launch import HasUrl, Launcher

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
SLACK_S = 5.0  # between a deadline and its answer, on a machine that is busy with other workers


HINTS = ("retry-after", "x-should-retry")


def expect_hints(seen: Capture, hints: tuple[tuple[str, str], ...]) -> None:
    """These headers, and no others, say whether a client may retry."""
    found = {name: value for name, value in seen.headers if name in HINTS}
    expect(found == dict(hints), _hints_told(dict(hints)), f"{_hints_told(found)}; {describe(seen)}")


def _hints_told(hints: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {hints[name]}" if name in hints else f"no {name}" for name in HINTS)


@STREAMED
@check_each("row", {f"G3.{name}": row for name, row in FAILURES.items()})
def test_failure(row: GatewayFailure, stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway has its own status and code, asks it once, and is never an answer."""
    asked = len(talk.gateway.calls)
    with talk.gateway.scripted(row.reply):
        seen = talk.ask("안녕", stream=stream)
    expect_error(seen, row.status, kind=row.type, code=row.code)
    expect_one_call(talk.gateway.calls[asked:], seen)


def tier_of(hints: tuple[tuple[str, str], ...]) -> Tier:
    """The tier of a hint: without x-should-retry a client asks, and pays, three times; by others it waits too long."""
    return "M" if hints == NO_RETRY else "S"


@check_each("name", {Check(f"G8.{name}", tier_of(row.hints)): name for name, row in FAILURES.items()})
def test_hints(name: str, talk: Talk) -> None:
    """A client is told whether, and when, to try again."""
    row = FAILURES[name]
    with talk.gateway.scripted(row.reply):
        seen = talk.ask("안녕")
    if not row.hints:  # what is no refusal has no hints either
        need_refusal(seen, (f"G3.{name}",))
    expect_hints(seen, row.hints)


@check_each("given", {f"G8.retry-after-{given}": given for given in ("0", "1", "120", "3600", "-5", "soon")}, tier="S")
def test_retry_after_range(given: str, talk: Talk) -> None:
    """A Retry-After is passed on as whole seconds from 1 to 120, which the OpenAI SDKs obey."""
    with talk.gateway.scripted(respond_with({}, 429, headers=(("Retry-After", given),))):
        seen = talk.ask("안녕")
    found = seen.header("retry-after") or ""
    wanted = {given} if given in {"1", "120"} else {str(seconds) for seconds in range(1, 121)}
    named = given if given in {"1", "120"} else "whole seconds from 1 to 120"
    expect(found in wanted, f"the header Retry-After: {named}", told_header(seen, "Retry-After"))


@STREAMED
@check("G3.reset-before-reading")
def test_reset_before_reading(stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """A gateway that resets every connection is a 502: unreachable or lost, as far as the request got."""
    with talk.failing(reset_before_reading):
        seen = talk.ask("안녕", stream=stream)
    # The reset races the first byte of the request.
    lost = child(answer(seen), "error").get("code") == "gateway_connection_lost"
    expect_error(seen, 502, kind="server_error", code="gateway_connection_lost" if lost else "gateway_unreachable")


SLOW = {"silent": silent, "dripping": drip(0.05)}


@pytest.fixture(scope="module")
def too_late(hasty: Talk) -> Callable[[str], tuple[Capture, int]]:
    """An answer that did not come in time, and how often the gateway was asked for it; waited for once."""

    @cache
    def asked(name: str) -> tuple[Capture, int]:
        before = len(hasty.gateway.chats)
        with hasty.gateway.scripted(SLOW[name]):
            seen = hasty.ask("안녕" * 50)
        return seen, len(hasty.gateway.chats) - before

    def seen(name: str) -> tuple[Capture, int]:
        WITNESS.saw(asked(name)[0])
        return asked(name)

    return seen


@check_each("name", {f"G3.{name}": name for name in SLOW})
def test_timeout(name: str, too_late: Callable[[str], tuple[Capture, int]]) -> None:
    """A gateway that does not finish in time is a 504, however busy it looks, within the one deadline."""
    seen, calls = too_late(name)
    expect_error(seen, 504, kind="server_error", code="gateway_timeout")
    within_s = DEADLINE_S + SLACK_S
    expect(seen.elapsed_s < within_s, f"a response within {within_s} s", f"a response after {seen.elapsed_s:.1f} s")
    expect(calls == 1, "exactly one request to the gateway", f"{calls} of them")


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
def cut_off(module_launch: Launcher, echoing: ScriptedGateway) -> Callable[[str], Talk]:
    """A proxy whose gateway is at one of these addresses, launched once for each."""

    @cache
    def launched(name: str) -> Talk:
        address = ADDRESSES[name][0]
        where: HasUrl | None = Nowhere(address.format(gateway=f"127.0.0.1:{echoing.port}")) if address else None
        return Talk(module_launch(gateway=where, env={"LUMEN_STANDBY": "0"}), echoing)

    return launched


@STREAMED
@check_each("name", {f"G3.{name}": name for name in ADDRESSES})
def test_unreachable(name: str, stream: bool, cut_off: Callable[[str], Talk]) -> None:  # noqa: FBT001 -- a row
    """A gateway that cannot be reached at all is a 502."""
    seen = cut_off(name).ask("안녕", stream=stream)
    expect_error(seen, 502, kind="server_error", code=ADDRESSES[name][1])


@check_each("name", {Check(f"G8.{name}", tier_of(row[2])): name for name, row in ADDRESSES.items()})
def test_unreachable_hints(name: str, cut_off: Callable[[str], Talk]) -> None:
    """A client is told whether to try again where no gateway can be reached."""
    expect_hints(cut_off(name).ask("안녕"), ADDRESSES[name][2])


@check("G8.silent")
def test_timeout_hints(too_late: Callable[[str], tuple[Capture, int]]) -> None:
    """A client is told not to ask again what may have been paid for."""
    expect_hints(too_late("silent")[0], NO_RETRY)
