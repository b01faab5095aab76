"""G3, G8: the proxy reports each failure of the gateway with the right status, code and retry headers."""

from collections.abc import Callable, Mapping
from functools import cache

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.expectations import describe, describe_header, expect_error, expect_one_call
from lumen_conformance.contract.gateway_failures import GATEWAY_FAILURES, NO_RETRY, GatewayFailure
from lumen_conformance.contract.prerequisites import need_refusal
from lumen_conformance.contract.session import DEADLINE_S, ContractSession
from lumen_conformance.gateway.replies import drip, reset_before_reading, respond_with, silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.documents import answer_json
from lumen_conformance.registry.declaration import Check, Tier, check, check_each
from lumen_conformance.registry.refutation import expect
from lumen_conformance.targets.launch import HasUrl, Launcher

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]
SLACK_S = 5.0  # from a deadline to its response, on a machine that is busy with other workers


HINTS = ("retry-after", "x-should-retry")
RETRY_HEADERS = "openai-python _base_client.py, _should_retry and _parse_retry_after_header; docs/behaviour.md"


def expect_hints(capture: Capture, hints: tuple[tuple[str, str], ...]) -> None:
    """The response has exactly these retry headers."""
    found = {name: value for name, value in capture.headers if name in HINTS}
    expect(found == dict(hints), _describe_hints(dict(hints)), f"{_describe_hints(found)}; {describe(capture)}")


def _describe_hints(hints: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {hints[name]}" if name in hints else f"no {name}" for name in HINTS)


@STREAMED
@check_each("row", {f"G3-{name}": row for name, row in GATEWAY_FAILURES.items()}, source="docs/behaviour.md")
def test_failure(row: GatewayFailure, stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway ({row}) gets its own status and code after one request to the gateway."""
    asked = len(proxy.gateway.calls)
    with proxy.gateway.scripted(row.reply):
        capture = proxy.ask("안녕", stream=stream)
    expect_error(capture, row.status, kind=row.type, code=row.code)
    expect_one_call(proxy.gateway.calls[asked:], capture)


def tier_of(hints: tuple[tuple[str, str], ...]) -> Tier:
    """The tier of retry headers: without x-should-retry a client pays three times; with others it waits too long."""
    return "M" if hints == NO_RETRY else "S"


@check_each(
    "name",
    {Check(f"G8-{name}", tier_of(row.hints)): name for name, row in GATEWAY_FAILURES.items()},
    source=RETRY_HEADERS,
)
def test_hints(name: str, proxy: ContractSession) -> None:
    """The error for a failure of the gateway ({row}) has headers that say whether and when a client may retry."""
    row = GATEWAY_FAILURES[name]
    with proxy.gateway.scripted(row.reply):
        capture = proxy.ask("안녕")
    if not row.hints:  # an answer has no retry headers, either
        need_refusal(capture, (f"G3-{name}",))
    expect_hints(capture, row.hints)


@check_each(
    "given",
    {f"G8-retry-after-{given}": given for given in ("0", "1", "120", "3600", "-5", "soon")},
    tier="S",
    source=RETRY_HEADERS,
)
def test_retry_after_range(given: str, proxy: ContractSession) -> None:
    """The gateway's Retry-After ({given}) is forwarded as whole seconds from 1 to 120."""
    with proxy.gateway.scripted(respond_with({}, 429, headers=(("Retry-After", given),))):
        capture = proxy.ask("안녕")
    found = capture.header("retry-after") or ""
    wanted = {given} if given in {"1", "120"} else {str(seconds) for seconds in range(1, 121)}
    named = given if given in {"1", "120"} else "whole seconds from 1 to 120"
    expect(found in wanted, f"the header Retry-After: {named}", describe_header(capture, "Retry-After"))


@STREAMED
@check("G3-reset-before-reading", source="docs/behaviour.md")
def test_reset_before_reading(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A gateway that resets every connection gives a 502 with the code for unreachable or for a lost connection."""
    with proxy.failing(reset_before_reading):
        capture = proxy.ask("안녕", stream=stream)
    # The code depends on whether the reset arrives before the first byte of the request is sent.
    lost = child_object(answer_json(capture), "error").get("code") == "gateway_connection_lost"
    expect_error(capture, 502, kind="server_error", code="gateway_connection_lost" if lost else "gateway_unreachable")


SLOW = {"silent": silent, "dripping": drip(0.05)}


@pytest.fixture(scope="module")
def answer_late(fast_deadline_proxy: ContractSession) -> Callable[[str], tuple[Capture, int]]:
    """A function that returns the response to a late gateway and the number of its requests; each is made once."""

    @cache
    def asked(name: str) -> tuple[Capture, int]:
        before = len(fast_deadline_proxy.gateway.chats)
        with fast_deadline_proxy.gateway.scripted(SLOW[name]):
            capture = fast_deadline_proxy.ask("안녕" * 50)
        return capture, len(fast_deadline_proxy.gateway.chats) - before

    def capture(name: str) -> tuple[Capture, int]:
        LAST_CAPTURE.record(asked(name)[0])
        return asked(name)

    return capture


@check_each("name", {f"G3-{name}": name for name in SLOW}, source="docs/behaviour.md: LUMEN_TIMEOUT_S")
def test_timeout(name: str, answer_late: Callable[[str], tuple[Capture, int]]) -> None:
    """A gateway that does not finish in time ({row}) gives a 504 within the deadline."""
    capture, calls = answer_late(name)
    expect_error(capture, 504, kind="server_error", code="gateway_timeout")
    within_s = DEADLINE_S + SLACK_S
    expect(
        capture.elapsed_s < within_s, f"a response within {within_s} s", f"a response after {capture.elapsed_s:.1f} s"
    )
    expect(calls == 1, "exactly one request to the gateway", f"{calls} requests")


class UnreachableGateway:
    """A gateway with a URL at which no server of the suite listens."""

    def __init__(self, url: str) -> None:
        self.url = url


UNREACHABLE = (("retry-after", "2"),)
ADDRESSES: dict[str, tuple[str | None, str, tuple[tuple[str, str], ...]]] = {
    "refused": (None, "gateway_unreachable", UNREACHABLE),
    "dns": ("http://nobody.invalid", "gateway_unreachable", UNREACHABLE),
    "tls": ("https://{gateway}", "gateway_misconfigured", NO_RETRY),
}


@pytest.fixture(scope="module")
def unreachable_proxy(module_launch: Launcher, echo_gateway: ScriptedGateway) -> Callable[[str], ContractSession]:
    """A function that launches a proxy whose gateway is at one of these addresses, once for each."""

    @cache
    def launched(name: str) -> ContractSession:
        address = ADDRESSES[name][0]
        where: HasUrl | None = (
            UnreachableGateway(address.format(gateway=f"127.0.0.1:{echo_gateway.port}")) if address else None
        )
        return ContractSession(module_launch(gateway=where, env={"LUMEN_STANDBY": "0"}), echo_gateway)

    return launched


@STREAMED
@check_each("name", {f"G3-{name}": name for name in ADDRESSES}, source="docs/behaviour.md")
def test_unreachable(name: str, stream: bool, unreachable_proxy: Callable[[str], ContractSession]) -> None:  # noqa: FBT001 -- a row
    """A gateway that cannot be reached ({row}) gives a 502."""
    capture = unreachable_proxy(name).ask("안녕", stream=stream)
    expect_error(capture, 502, kind="server_error", code=ADDRESSES[name][1])


@check_each(
    "name", {Check(f"G8-{name}", tier_of(row[2])): name for name, row in ADDRESSES.items()}, source=RETRY_HEADERS
)
def test_unreachable_hints(name: str, unreachable_proxy: Callable[[str], ContractSession]) -> None:
    """The error for an unreachable gateway ({row}) has headers that say whether a client may retry."""
    expect_hints(unreachable_proxy(name).ask("안녕"), ADDRESSES[name][2])


@check("G8-silent", source=RETRY_HEADERS)
def test_timeout_hints(answer_late: Callable[[str], tuple[Capture, int]]) -> None:
    """The error for a timeout of the gateway tells the client not to retry, because the answer may be paid for."""
    expect_hints(answer_late("silent")[0], NO_RETRY)
