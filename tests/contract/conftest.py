"""The cast of the contract tests.

A scripted gateway that echoes, so that the right answer is known byte for byte; a patient proxy before it, for
everything that ends well or at once; a hasty proxy, whose streams commit early and whose deadline is near.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lumen_conformance.checks.verdict import Comparison, Judge, excerpt
from lumen_conformance.contract.applicability import marks_of
from lumen_conformance.contract.call_budget import most_calls, shared_calls
from lumen_conformance.contract.conclusions import conclude
from lumen_conformance.contract.exchanges import PROVOKED, REFUSALS, exchange_of
from lumen_conformance.contract.failure_report import LAST_EXCHANGE, exchange_told, with_body
from lumen_conformance.contract.prerequisites import (
    CHAT_CHECK,
    need_answers,
    need_chat,
    need_json,
    need_known,
    need_refusal,
    need_response,
    need_stream,
    needs_chat,
    needs_choices,
    needs_stream,
    params_of,
    responsible,
)
from lumen_conformance.contract.session import CANARY, DEADLINE_S, KEY, Demand, Talk
from lumen_conformance.contract.survival import Survival, survival_of, watched
from lumen_conformance.contract.xdist_order import spread
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import WITNESS
from lumen_conformance.http.client import TIMEOUT_S, Capture, Connection
from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Refuted
from lumen_conformance.report.announcement import announce
from lumen_conformance.run import Run
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.readiness import Readiness
from lumen_conformance.targets.target import Target, target_of

HERE = Path(__file__).parent
ALONE = {"LUMEN_STANDBY": "0"}  # nobody is killed here, and each parallel worker would pay for a spare process
NEVER = "1000000"  # failures in a row that would open the breaker: a shared proxy must not remember failures


@pytest.hookimpl(tryfirst=True)  # before the target is asked whether it can
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say of each contract test for whom it holds; who is given longer for an answer is given longer for a test."""
    patience = target_of(config).answer_s / TIMEOUT_S
    longer = [pytest.mark.timeout(float(config.getini("timeout")) * patience)] if patience > 1 else []
    for item in items:
        if item.path.is_relative_to(HERE):
            for mark in (*marks_of(item), *longer):
                item.add_marker(mark)


@pytest.hookimpl(tryfirst=True)  # before xdist tells the controller which tests there are, and in which order
def pytest_collection_finish(session: pytest.Session) -> None:
    """Let parallel workers wait at the same time."""
    if hasattr(session.config, "workerinput"):
        ours = [item for item in session.items if item.path.is_relative_to(HERE)]
        others = [item for item in session.items if not item.path.is_relative_to(HERE)]
        session.items[:] = [*spread([(item.name, item) for item in ours]), *others]
        announce(session.config, _cost(session.config, session.items))


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str | None:
    """Say what a run by URL will cost, before it begins; parallel workers have their controller say it."""
    return _cost(config, items) or None


def _cost(config: pytest.Config, items: list[pytest.Item]) -> str:
    target, workers = target_of(config), getattr(config, "workerinput", {}).get("workercount", 1)
    if not target.url:
        return ""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    more = f", {shared_calls(ours, load=target.load)} more for each parallel worker that dies" if workers > 1 else ""
    calls = most_calls(ours, workers, load=target.load)
    return f"by URL: at most {calls} chat calls of {target.model} at {target.url}{more}"


@pytest.hookimpl(wrapper=True, trylast=True)  # innermost: what is raised here must not keep others from being set up
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """What an earlier test has asked is none of the next one's; a target that has ended meanwhile is launched again."""
    WITNESS.forget()
    survival = survival_of(item.config)
    survival.again()
    try:
        yield
    except (Exception, pytest.skip.Exception):
        if not survival.sees_end():  # else the call says what happened
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Show with a refuted claim the request that it is about."""
    try:
        with watched(item):
            yield
    except Refuted as error:
        if error.failure.curl or not (seen := WITNESS.last):
            raise
        curl = with_body(item, seen, seen.curl())
        shown = f"{excerpt(seen.body, None)} (status {seen.status}, {seen.ended})"
        raise Refuted(replace(error.failure, excerpt=error.failure.excerpt or shown, curl=curl)) from None


@pytest.hookimpl(wrapper=True, trylast=True)  # innermost: before a tier that is never red is excused
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure how its last request is repeated, what came back, and the end of the server's log."""
    report = yield
    if call.when == "call" and report.failed:
        talks = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Talk)]
        exchange = [(LAST_EXCHANGE, with_body(item, seen, exchange_told(seen)))] if (seen := WITNESS.last) else []
        report.sections += [*exchange, *(section for talk in talks for section in talk.told())]
    return report


@pytest.fixture(scope="session")
def survival(request: pytest.FixtureRequest) -> Survival:
    """What has become of the targets of this worker."""
    return survival_of(request.config)


@pytest.fixture(scope="session")
def echoing(run: Run) -> Iterator[ScriptedGateway]:
    """A gateway that lives as long as the shared proxy."""
    with ScriptedGateway() as gateway, run.answering(gateway.url):
        yield gateway


@pytest.fixture(scope="session")
def talk(target: Target, session_launch: Launcher, echoing: ScriptedGateway, run: Run, survival: Survival) -> Talk:
    """The patient proxy, or what runs at the given URL."""
    if target.url:
        return survival.keep(Talk(RemoteServer(target).wait_ready(Readiness.of(run)), echoing))
    env = {"CLOUD_AI_API_KEY": CANARY, "LUMEN_BREAKER_FAILURES": NEVER, **ALONE}
    return survival.launched(partial(session_launch, gateway=echoing, env=env), echoing)


@pytest.fixture(scope="session")
def hasty(
    target: Target,
    request: pytest.FixtureRequest,
    session_launch: Launcher,
    echoing: ScriptedGateway,
    survival: Survival,
) -> Talk:
    """The hasty proxy; of a foreign target, which cannot be told to hurry, the patient one."""
    if target.profile != "lumen":
        patient: Talk = request.getfixturevalue("talk")
        return patient
    env = {
        "LUMEN_BREAKER_FAILURES": NEVER,
        "LUMEN_STREAM_COMMIT_S": "0.05",
        "LUMEN_SSE_KEEPALIVE_S": "0.05",
        "LUMEN_TIMEOUT_S": str(DEADLINE_S),
        **ALONE,
    }
    return survival.launched(partial(session_launch, gateway=echoing, env=env), echoing)


@pytest.fixture(scope="session")
def locked(
    target: Target,
    request: pytest.FixtureRequest,
    session_launch: Launcher,
    echoing: ScriptedGateway,
    survival: Survival,
) -> Talk:
    """A proxy with a key; a foreign target has the one that was given for it."""
    if target.foreign and target.api_key:
        keyed: Talk = request.getfixturevalue("talk")
        return keyed
    env = {"PROXY_API_KEY": KEY, **ALONE}
    return survival.launched(partial(session_launch, gateway=echoing, env=env), echoing)


PARTNERS = {"waited": "hasty", "no_key": "locked"}  # of exchanges that are not made with the patient proxy


@pytest.fixture
def exchange(request: pytest.FixtureRequest, target: Target) -> Capture:
    """The shared exchange that a parameter names; nothing can be judged of it where no response came."""
    with_whom: Talk = request.getfixturevalue(PARTNERS.get(request.param, "talk"))
    found = exchange_of(with_whom, request.param)
    need_response(found, responsible(target, request.param))
    return found


@pytest.fixture(autouse=True)
def _chat_works(request: pytest.FixtureRequest) -> None:
    """What asks a question is not judged where no such question is answered."""
    found = check_of(request.node)
    if found and needs_chat(found.id):
        need_chat(request.getfixturevalue("talk"), choices=needs_choices(found.id))
    if found and needs_stream(found.id, params_of(request.node)):
        need_stream(request.getfixturevalue("talk"), choices=needs_choices(found.id))


@pytest.fixture(scope="session")
def connection(talk: Talk) -> Iterator[Connection]:
    """One connection to the patient proxy that stays open."""
    with talk.proxy.connection() as opened:
        yield opened


@pytest.fixture
def refusal(request: pytest.FixtureRequest, exchange: Capture, talk: Talk) -> Capture:
    """The shared exchange that a parameter names; of one that should be a refusal and is none nothing is judged."""
    name = str(params_of(request.node).get("exchange"))
    alike = name == "refused_stream" and talk.refusal.status == exchange.status
    if name in REFUSALS:
        need_answers(talk, exchange)
        need_refusal(exchange, ("F2.messages-empty",) if alike else responsible(talk.target, name))
    return exchange


@pytest.fixture
def json_body(request: pytest.FixtureRequest, refusal: Capture, talk: Talk) -> Capture:
    """The same; an error that says that it is no JSON is not judged as JSON."""
    name = str(params_of(request.node).get("exchange"))
    need_json(refusal, ("F1.1",) if name in PROVOKED else responsible(talk.target, name))
    return refusal


@pytest.fixture
def demand(request: pytest.FixtureRequest, talk: Talk) -> Demand:
    """Hold a capture to a claim: ``demand(judge, seen)`` fails with the verdict's own words."""

    def hold(judge: Judge, seen: Capture, *, about: str = "", said_mono_s: float | None = None) -> None:
        known = talk.known if said_mono_s is None else replace(talk.known, said_mono_s=said_mono_s)
        if judge.claim.unknown(known):
            need_known(talk, judge.claim.needs)
            pytest.skip("not applicable: it needs a gateway whose words are known")
        verdict = judge(seen, known)
        if verdict.failure:
            WITNESS.saw(seen)
        conclude(request.node, verdict, [seen], exchange=asked_for(request.node, talk), about=about)

    return hold


def asked_for(item: pytest.Item, talk: Talk) -> tuple[str, ...]:
    """The check that fails where the exchange of a test is not what it is meant to be."""
    return responsible(talk.target, str(params_of(item).get("exchange")))


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Callable[[Comparison, list[Capture]], None]:
    """Hold several answers to a claim about all of them."""

    def hold(comparison: Comparison, seen: list[Capture]) -> None:
        conclude(request.node, comparison(seen), seen, exchange=(CHAT_CHECK,))

    return hold
