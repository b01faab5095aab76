"""The fixtures and hooks of the contract suite.

The gateway of the suite echoes the question, so that the expected answer is known. Tests use up to three proxies in
front of it: ``proxy`` with a long deadline, ``fast_deadline_proxy`` with a short deadline and early streams, and
``keyed_proxy`` with a key.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lumen_conformance.checks.verdict import Comparison, Judge, excerpt
from lumen_conformance.contract.applicability import applicability_marks
from lumen_conformance.contract.call_budget import max_chat_calls, max_shared_chat_calls
from lumen_conformance.contract.conclusions import conclude
from lumen_conformance.contract.exchanges import CLIENT_REFUSALS, REFUSALS, get_exchange
from lumen_conformance.contract.failure_report import LAST_EXCHANGE, attach_body, describe_exchange, record_exchanges
from lumen_conformance.contract.prerequisites import (
    CHAT_CHECK,
    need_answers,
    need_chat,
    need_context,
    need_json,
    need_refusal,
    need_response,
    need_stream,
    needs_chat,
    needs_choices,
    needs_stream,
    params_of,
    responsible_checks,
)
from lumen_conformance.contract.session import CANARY, DEADLINE_S, KEY, ClaimAssertion, ContractSession
from lumen_conformance.contract.target_monitor import TargetMonitor, monitored, target_monitor_of
from lumen_conformance.contract.xdist_order import spread_waits
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import TIMEOUT_S, Capture
from lumen_conformance.registry.declaration import check_of, refuse_without_source
from lumen_conformance.registry.refutation import Refuted
from lumen_conformance.report.announcement import announce
from lumen_conformance.run import Run
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.readiness import Readiness
from lumen_conformance.targets.target import Target, target_of

HERE = Path(__file__).parent
NO_STANDBY = {"LUMEN_STANDBY": "0"}  # no test kills a worker, so a standby process would only cost memory
NEVER = "1000000"  # failures in a row that open the breaker: the proxies are shared and must not open it


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse a check without a source."""
    if metafunc.definition.path.is_relative_to(HERE):
        refuse_without_source(metafunc)


@pytest.hookimpl(tryfirst=True)  # before the capabilities of the target are compared with the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the marks of `applicability`; a target with a longer time for an answer gets a longer test timeout."""
    factor = target_of(config).answer_s / TIMEOUT_S
    timeouts = [pytest.mark.timeout(float(config.getini("timeout")) * factor)] if factor > 1 else []
    for item in items:
        if item.path.is_relative_to(HERE):
            for mark in (*applicability_marks(item), *timeouts):
                item.add_marker(mark)


@pytest.hookimpl(tryfirst=True)  # before xdist reports the order of the tests to its controller
def pytest_collection_finish(session: pytest.Session) -> None:
    """Spread the tests that wait for seconds, so that parallel workers wait at the same time."""
    if hasattr(session.config, "workerinput"):
        ours = [item for item in session.items if item.path.is_relative_to(HERE)]
        others = [item for item in session.items if not item.path.is_relative_to(HERE)]
        session.items[:] = [*spread_waits([(item.name, item) for item in ours]), *others]
        announce(session.config, _describe_cost(session.config, session.items))


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str | None:
    """Print the upper bound of the chat calls of a run by URL; with parallel workers, the controller prints it."""
    return _describe_cost(config, items) or None


def _describe_cost(config: pytest.Config, items: list[pytest.Item]) -> str:
    target, workers = target_of(config), getattr(config, "workerinput", {}).get("workercount", 1)
    if not target.url:
        return ""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    calls, shared = max_chat_calls(ours, workers, load=target.load), max_shared_chat_calls(ours, load=target.load)
    more = f", {shared} more for each parallel worker that dies" if workers > 1 else ""
    return f"by URL: at most {calls} chat calls of {target.model} at {target.url}{more}"


@pytest.hookimpl(wrapper=True, trylast=True)  # innermost: an exception here must not prevent the setup of other plugins
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Forget the last exchange, and launch a target that has exited again."""
    LAST_CAPTURE.clear()
    monitor = target_monitor_of(item.config)
    monitor.relaunch()
    try:
        yield
    except (Exception, pytest.skip.Exception):
        if not monitor.has_new_exit():  # else the call phase reports the exit
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Add the last request and response to a failure that has none."""
    try:
        with monitored(item):
            yield
            record_exchanges(item)
    except Refuted as error:
        record_exchanges(item)
        if error.failure.curl or not (capture := LAST_CAPTURE.capture):
            raise
        curl = attach_body(item, capture, capture.curl())
        shown = f"{excerpt(capture.body, None)} (status {capture.status}, {capture.ended})"
        raise Refuted(replace(error.failure, excerpt=error.failure.excerpt or shown, curl=curl)) from None


@pytest.hookimpl(wrapper=True, trylast=True)  # innermost: before a failure of tier W becomes a warning
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last exchange and the end of the server's log to the report of a failure."""
    report = yield
    if call.when == "call" and report.failed:
        if capture := LAST_CAPTURE.capture:
            report.sections.append((LAST_EXCHANGE, attach_body(item, capture, describe_exchange(capture))))
        for value in getattr(item, "funcargs", {}).values():
            report.sections += value.report_sections() if isinstance(value, ContractSession) else ()
    return report


@pytest.fixture(scope="session")
def target_monitor(request: pytest.FixtureRequest) -> TargetMonitor:
    """The monitor of the launched targets."""
    return target_monitor_of(request.config)


@pytest.fixture(scope="session")
def echo_gateway(run: Run) -> Iterator[ScriptedGateway]:
    """The gateway of the shared proxies; it echoes the question."""
    with ScriptedGateway() as gateway, run.allow_ports(gateway.url):
        yield gateway


@pytest.fixture(scope="session")
def proxy(
    target: Target, session_launch: Launcher, echo_gateway: ScriptedGateway, run: Run, target_monitor: TargetMonitor
) -> ContractSession:
    """The target: a proxy with a long deadline, or the server at the given URL."""
    if target.url:
        return target_monitor.add(ContractSession(RemoteServer(target).wait_ready(Readiness.of(run)), echo_gateway))
    env = {"CLOUD_AI_API_KEY": CANARY, "LUMEN_BREAKER_FAILURES": NEVER, **NO_STANDBY}
    return target_monitor.launch(partial(session_launch, gateway=echo_gateway, env=env), echo_gateway)


@pytest.fixture(scope="session")
def fast_deadline_proxy(
    target: Target,
    request: pytest.FixtureRequest,
    session_launch: Launcher,
    echo_gateway: ScriptedGateway,
    target_monitor: TargetMonitor,
) -> ContractSession:
    """A proxy with a short deadline and early streams; for other targets, which have no such settings, ``proxy``."""
    if target.profile != "lumen":
        shared: ContractSession = request.getfixturevalue("proxy")
        return shared
    env = {
        "LUMEN_BREAKER_FAILURES": NEVER,
        "LUMEN_STREAM_COMMIT_S": "0.05",
        "LUMEN_SSE_KEEPALIVE_S": "0.05",
        "LUMEN_TIMEOUT_S": str(DEADLINE_S),
        **NO_STANDBY,
    }
    return target_monitor.launch(partial(session_launch, gateway=echo_gateway, env=env), echo_gateway)


@pytest.fixture(scope="session")
def keyed_proxy(
    target: Target,
    request: pytest.FixtureRequest,
    session_launch: Launcher,
    echo_gateway: ScriptedGateway,
    target_monitor: TargetMonitor,
) -> ContractSession:
    """A proxy with a key; for other targets with a key, ``proxy``."""
    if target.foreign and target.api_key:
        shared: ContractSession = request.getfixturevalue("proxy")
        return shared
    env = {"PROXY_API_KEY": KEY, **NO_STANDBY}
    return target_monitor.launch(partial(session_launch, gateway=echo_gateway, env=env), echo_gateway)


# The fixtures of exchanges that need another proxy than ``proxy``.
PROXY_OF_EXCHANGE = {"waited": "fast_deadline_proxy", "no_key": "keyed_proxy"}


@pytest.fixture
def exchange(request: pytest.FixtureRequest, target: Target) -> Capture:
    """The shared exchange with the name of the parameter; not judged when there is no response."""
    session: ContractSession = request.getfixturevalue(PROXY_OF_EXCHANGE.get(request.param, "proxy"))
    capture, own = get_exchange(session, request.param), check_of(request.node)
    others = tuple(each for each in responsible_checks(target, request.param) if not own or each != own.id)
    need_response(capture, others)
    return capture


@pytest.fixture(autouse=True)
def _chat_works(request: pytest.FixtureRequest) -> None:
    """Checks that need an answer are not judged when the target does not answer."""
    found = check_of(request.node)
    if found and needs_chat(found.id):
        need_chat(request.getfixturevalue("proxy"), choices=needs_choices(found.id))
    if found and needs_stream(found.id, params_of(request.node)):
        need_stream(request.getfixturevalue("proxy"), choices=needs_choices(found.id))


@pytest.fixture
def refusal(request: pytest.FixtureRequest, exchange: Capture, proxy: ContractSession) -> Capture:
    """The shared exchange of the parameter; not judged when it should be an error and is not."""
    name = str(params_of(request.node).get("exchange"))
    same_status = name == "refused_stream" and proxy.refusal.status == exchange.status
    if name in REFUSALS:
        need_answers(proxy, exchange)
        need_refusal(exchange, ("F2-messages-empty",) if same_status else responsible_checks(proxy.target, name))
    return exchange


@pytest.fixture
def json_body(request: pytest.FixtureRequest, refusal: Capture, proxy: ContractSession) -> Capture:
    """The shared exchange of the parameter; not judged when it is an error whose media type is not JSON."""
    name = str(params_of(request.node).get("exchange"))
    need_json(refusal, ("F1.1",) if name in CLIENT_REFUSALS else responsible_checks(proxy.target, name))
    return refusal


@pytest.fixture
def assert_holds(request: pytest.FixtureRequest, proxy: ContractSession) -> ClaimAssertion:
    """``assert_holds(judge, capture)`` raises unless the claim of the judge holds for the capture."""

    def assert_claim(judge: Judge, capture: Capture, *, about: str = "", said_mono_s: float | None = None) -> None:
        context = proxy.judge_context
        context = context if said_mono_s is None else replace(context, said_mono_s=said_mono_s)
        if judge.claim.lacks_context(context):
            need_context(proxy, judge.claim.needs)
            pytest.skip("not applicable: it needs a gateway whose answers are known")
        verdict = judge(capture, context)
        if verdict.failure:
            LAST_CAPTURE.record(capture)
        exchange = responsible_checks(proxy.target, str(params_of(request.node).get("exchange")))
        conclude(request.node, verdict, [capture], exchange=exchange, about=about)

    return assert_claim


@pytest.fixture
def assert_comparison(request: pytest.FixtureRequest) -> Callable[[Comparison, list[Capture]], None]:
    """``assert_comparison(comparison, captures)`` raises unless the claim holds for the captures."""

    def assert_claim(comparison: Comparison, captures: list[Capture]) -> None:
        conclude(request.node, comparison(captures), captures, exchange=(CHAT_CHECK,))

    return assert_claim
