"""G13: an answer survives the pauses of its gateway, and a stream that the target cuts does not look complete.

All answers of this module are requested at the same time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import pytest

from lumen_conformance.contract.expectations import describe, expect_whole
from lumen_conformance.contract.limits import ask_until_served
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.openai_requests import wants_stream
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.documents import assistant_text, error_documents
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

# A part of the time that an answer may take (--proxy-timeout), so that an answer is well within it. By default these
# are 6 s: more than the 5 s after which httpx gives up. A longer --proxy-timeout makes them longer, up to MOST_S: more
# than the 60 s after which nginx and others give up.
SHARE = 0.6
MOST_S = 66.0
TEXT = "The gateway writes this text in several pieces, and it takes its time for them."
CUT = "NVIDIA/OpenShell#829: cut after 30 s of silence, or after 60 s, and it looks complete"
REPORTS = {
    "pause": "vaaraio/vaara#699: 5 s of silence, the default of httpx; NVIDIA/OpenShell#829: 30 s",
    "pause-first": "vaaraio/vaara#699: 5 s of silence, the default of httpx; open-webui/open-webui#10316: 30 s",
    "long": "NVIDIA/OpenShell#641 ends a stream after 60 s, pydantic/logfire#1882 after 180 s",
    "plain": "timoklimmer/powerproxy-aoai#36: 5 s, the default of httpx; BerriAI/litellm#9551: only plain answers fail",
}


@dataclass(frozen=True)
class Wait:
    """How the gateway takes its time: a reply for a number of seconds, and a description."""

    reply: Callable[[float], Reply]
    description: str
    stream: bool = True

    def although(self, proxy: ContractSession) -> str:
        """The end of an expectation."""
        return f", although the gateway {self.description.format(f'{wait_s(proxy):g} s')}"

    def check(self, name: str) -> Check:
        """The check of this wait."""
        wait = self.description.format(f"a part of --proxy-timeout ({SHARE:g} of it, at most {MOST_S:g} s)")
        kind = "stream arrives whole" if self.stream else "plain answer arrives"
        return Check(f"G13-{name}", claim=f"A {kind} although the gateway {wait}", source=REPORTS[name])


def wait_s(proxy: ContractSession) -> float:
    """The seconds of each wait for this target."""
    return min(MOST_S, SHARE * proxy.target.answer_s)


def pause(seconds: float) -> Reply:
    """A reply with a pause in its middle."""
    return replies.stream_in_halves(midway=lambda exchange: exchange.hold(at_most_s=seconds))


SILENT_FIRST = "is silent for {} before its response"
STREAMS = {
    "pause": Wait(pause, "is silent for {} in mid-stream"),
    "pause-first": Wait(replies.delayed, SILENT_FIRST),
    "long": Wait(replies.spread, "writes for {}"),
}
WAITS = STREAMS | {"plain": Wait(replies.delayed, SILENT_FIRST, stream=False)}


def question_of(name: str) -> str:
    """The question for a wait, which is the expected answer."""
    return f"{name}: {TEXT}"


def reply_as_asked(proxy: ContractSession, exchange: Exchange) -> None:
    """Reply with the wait of the question, or at once to any other question."""
    waits = {question_of(name): wait for name, wait in WAITS.items()}
    wait = waits.get(exchange.call.message)
    (wait.reply(wait_s(proxy)) if wait else replies.echo)(exchange)


@pytest.fixture(scope="module")
def ask_slow_gateway(proxy: ContractSession) -> Callable[[str], Capture]:
    """A function that returns the answer for a wait; all are requested at once, when the first one is read."""
    patience_s = len(WAITS) * proxy.target.answer_s  # for a target that answers one request after another

    def ask(name: str) -> Capture:
        return ask_until_served(
            proxy, question_of(name), within_s=patience_s, timeout_s=patience_s, stream=WAITS[name].stream
        )

    @cache
    def ask_all() -> dict[str, Capture]:
        with proxy.failing(partial(reply_as_asked, proxy)), ThreadPoolExecutor(len(WAITS)) as pool:
            return dict(zip(WAITS, pool.map(ask, WAITS), strict=True))

    def captured(name: str) -> Capture:
        capture = LAST_CAPTURE.record(ask_all()[name])
        asked = [call for call in proxy.gateway.chats if call.message == question_of(name)]
        if WAITS[name].stream and asked and not any(map(wants_stream, asked)):
            raise NotJudged("the gateway received a request for a plain answer", ("E9",))
        return capture

    return captured


def looks_complete(capture: Capture, name: str) -> bool:
    """Whether a part of a stream ends as if it were the whole stream."""
    ends_well = (capture.status, capture.ended) == (200, "complete") and not error_documents(capture)
    return ends_well and len(assistant_text(capture)) < len(question_of(name))


@check("G13-cut", source=f"{CUT}; every SDK treats a normal end as a complete answer")
def test_no_clean_end(ask_slow_gateway: Callable[[str], Capture], proxy: ContractSession) -> None:
    """A stream with a pause of the gateway is whole, or it ends as an error: a part of it does not look complete."""
    for name, wait in STREAMS.items():
        capture = ask_slow_gateway(name)
        expected = f"the whole answer, an error event, or an aborted body{wait.although(proxy)}"
        expect(not looks_complete(capture, name), expected, f"a normal end: {describe(capture)}")


@check_each("name", {wait.check(name): name for name, wait in WAITS.items()})
def test_whole(name: str, ask_slow_gateway: Callable[[str], Capture], proxy: ContractSession) -> None:
    """An answer arrives whole although the gateway takes its time ({row})."""
    capture = ask_slow_gateway(name)
    if name in STREAMS and looks_complete(capture, name):
        raise NotJudged(f"a part of the stream looks complete: {describe(capture)}", ("G13-cut",))
    if name == "plain" and capture.status != 200 and ask_slow_gateway("pause-first").status == capture.status:
        raise NotJudged(f"a stream that begins late fails, too: {describe(capture)}", ("G13-pause-first",))
    LAST_CAPTURE.record(capture)
    expect_whole(proxy, capture, question_of(name), although=WAITS[name].although(proxy))
