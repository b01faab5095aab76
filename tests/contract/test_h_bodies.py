"""H2, F3: the connection after a refusal: a body that the server did not read is not its next request."""

from typing import Any, NamedTuple

from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.prerequisites import CHAT_CHECK
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

NOWHERE = "/v1/nothing-here"
WRONG_KEY = "Bearer sk-wrong-6b1e77"
CLOSED_WITHIN_S = 3.0  # of the answer: a server closes its end at once, on a busy machine within seconds
CLOSED = {"aborted", "reset"}  # a request that waits in vain on an open connection ends as a time-out
OF_NO_REQUEST = {None, 400, 405, 501}  # responses to a body that is read as a request; None is one that is no HTTP
LIMITED = {429, 503}
UNREAD = "RFC 9112, 9.3: a server reads the whole body or closes; ardeyouxipianyi/workbuddy2api-intl#30"


class EarlyRefusal(NamedTuple):
    """A request with a body that is refused by its head, and the check that fails when it gets no response."""

    method: str
    path: str
    responsible: str
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False


REFUSED = {
    "H2-body-of-unknown-route": EarlyRefusal("POST", NOWHERE, "F3-unknown-route-post"),
    "H2-body-in-chunks": EarlyRefusal("POST", NOWHERE, "F3-unknown-route-post", chunked=True),
    "H2-body-of-wrong-method": EarlyRefusal("PUT", CHAT, "F3-wrong-method-put"),
}


def follow(session: ContractSession, request: EarlyRefusal) -> tuple[Capture, Capture]:
    """Send a request that is refused, and then one for the health, on the same connection if it stays open."""
    body: dict[str, Any] = {"json": question("안녕")}
    headers = request.headers
    if request.chunked:
        body = {"body": b"2\r\n{}\r\n0\r\n\r\n"}
        headers = (("Content-Type", "application/json"), ("Transfer-Encoding", "chunked"), *headers)
    with session.server.connection() as connection:
        refused = session.call_on(connection, request.method, request.path, headers=headers, **body)
        following = session.call_on(connection, "GET", session.target.probe_path)
    if refused.status is None:
        raise NotJudged(f"the first request gets no response: {describe(refused)}", (request.responsible,))
    return refused, following


def expect_own_response(session: ContractSession, request: EarlyRefusal) -> None:
    """The request after a refused one gets its own response, or the connection is closed."""
    refused, following = follow(session, request)
    closed = following.ended in CLOSED and not following.raw
    own = following.ended == "complete" and following.status == session.health.status
    wanted = f"the response to GET {session.target.probe_path}, status {session.health.status}, or a closed connection"
    if following.status in LIMITED and not own:
        raise NotJudged(f"the request after it is refused for a limit: {describe(following)}", ())
    found = f"after status {refused.status}, {_describe_other(following)}: {describe(following)}"
    expect(closed or own, wanted, found)


def _describe_other(following: Capture) -> str:
    """What a response that is not that of the next request says about the body of the first one."""
    if not following.raw:
        return "the next request"
    is_read = following.status in OF_NO_REQUEST
    return "the body of the first request is read as a request" if is_read else "another response"


@check_each("request_parts", REFUSED, source=UNREAD)
def test_body_is_no_request(request_parts: EarlyRefusal, proxy: ContractSession) -> None:
    """The body of a refused request ({row}) is never answered as a request of its own."""
    expect_own_response(proxy, request_parts)


@check("F3-key-body", source=f"{UNREAD}; nesquena/hermes-webui#7550")
def test_body_of_a_wrong_key_is_no_request(keyed_proxy: ContractSession) -> None:
    """The body of a request without the right key is never answered as a request of its own."""
    wrong_key = EarlyRefusal("POST", CHAT, "F3-wrong-key", (("Authorization", WRONG_KEY),))
    expect_own_response(keyed_proxy, wrong_key)


@check("H2-after-unknown-route", tier="S", source="RFC 9112, 9.6: a server that closes a connection says so")
def test_after_unknown_route(proxy: ContractSession) -> None:
    """After a request for an unknown route with a body, the connection can be used, or the response says close."""
    refused, following = follow(proxy, REFUSED["H2-body-of-unknown-route"])
    found = f"status {refused.status} without Connection: close, then {describe(following)}"
    expect(following.status is not None, "a response on the same connection, or Connection: close", found)


@check(
    "H2-close", tier="S", source="RFC 9112, 9.6; SillyTavern waits for the end (lmstudio-ai/lmstudio-bug-tracker#23)"
)
def test_close(proxy: ContractSession) -> None:
    """The server closes the connection after the response to a request with Connection: close."""
    with proxy.server.connection() as connection:
        capture = proxy.call_on(connection, "GET", proxy.target.probe_path, headers=[("Connection", "close")])
        if capture.status is None:
            raise NotJudged(f"no response: {describe(capture)}", (CHAT_CHECK,))
        is_open = connection.stays_open(CLOSED_WITHIN_S)
    expect(not is_open, "the end of the connection", f"an open connection after {CLOSED_WITHIN_S:g} s")
