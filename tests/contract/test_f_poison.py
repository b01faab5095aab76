"""F7: requests after which a server is not what it was: bad ones, and unusual ones."""

from lumen_conformance.contract.bad_requests import BAD_REQUESTS, UNSUPPORTED_REQUESTS
from lumen_conformance.contract.exchanges import JSON
from lumen_conformance.contract.expectations import describe, expect_answer_with_text, expect_no_failure, is_no_failure
from lumen_conformance.contract.prerequisites import need_answers
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.contract.unusual_requests import UNUSUAL_REQUESTS
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.documents import assistant_text
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

INDEPENDENT = "RFC 9110, 3.3: each request is independent of earlier requests"
RETRIES = "openai-python _base_client.py: 5xx and lost connections are retried; docs/breaks.md"
TWICE = range(2)


def send(proxy: ContractSession, body: bytes) -> Capture:
    """Send a request."""
    return proxy.call("POST", CHAT, body=body, headers=[JSON])


def unusual_response(proxy: ContractSession, name: str) -> Capture:
    """The response to a request with unusual values, which is sent once for all checks."""
    return proxy.once(f"unusual request {name}", lambda: send(proxy, UNUSUAL_REQUESTS[name]))


@check("F7", source=f"{INDEPENDENT}; NVIDIA/TensorRT-LLM#7692: a bad request ends the model when it comes again")
def test_healthy_after_bad(proxy: ContractSession) -> None:
    """A valid request succeeds after each bad request, which is sent twice."""
    for name, bad in (BAD_REQUESTS | UNSUPPORTED_REQUESTS if proxy.target.profile == "lumen" else BAD_REQUESTS).items():
        for _ in TWICE:
            send(proxy, bad.body)
        expect_answer_with_text(proxy, proxy.ask("안녕"), "안녕", at=f"after the bad request {name}, sent twice")


@check_each("name", {f"F7-odd-{name}-never-fails": name for name in UNUSUAL_REQUESTS}, source=RETRIES)
def test_unusual_request_is_no_failure(name: str, proxy: ContractSession) -> None:
    """An unusual request ({row}) gets an answer or a refusal, no 5xx and no lost connection."""
    capture = unusual_response(proxy, name)
    need_answers(proxy, capture)
    if capture.status == 200 and not is_no_failure(proxy.chat):
        raise NotJudged(f"a plain answer fails in the same way: {describe(proxy.chat)}", ("C1.3", "C1.4"))
    expect_no_failure(LAST_CAPTURE.record(capture))


@check(
    "F7-after-odd",
    source=f"{INDEPENDENT}; ggml-org/llama.cpp#5246, ollama/ollama#2397: nobody is answered after an empty question",
)
def test_healthy_after_unusual(proxy: ContractSession) -> None:
    """A plain question is answered after requests with unusual values; with load, after each, which is sent twice."""
    before = proxy.ask("안녕")
    for name, body in UNUSUAL_REQUESTS.items():
        if proxy.target.load:
            for _ in TWICE:
                send(proxy, body)
            expect_as_before(proxy.ask("안녕"), before, at=f"after the request with unusual values {name}, sent twice")
        else:
            unusual_response(proxy, name)
    if not proxy.target.load:
        expect_as_before(proxy.ask("안녕"), before, at=f"after {len(UNUSUAL_REQUESTS)} requests with unusual values")


def expect_as_before(capture: Capture, before: Capture, *, at: str) -> None:
    """An answer has status 200, and a text if the first one has a text; other checks read the texts."""
    answered = capture.status == 200 and bool(assistant_text(capture)) >= bool(assistant_text(before))
    expect(answered, f"an answer as before: {describe(before)}", describe(capture), at=at)
