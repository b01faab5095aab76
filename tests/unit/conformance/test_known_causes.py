"""What a server lacks as a whole is one cause; two independent defects are two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lumen_conformance.registry.refutation import Failure
from lumen_conformance.report.causes import causes_of
from lumen_conformance.report.results import Result
from lumen_conformance.report.under_test import repeat_command
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import FAILURES
from tests.unit.conformance.report_results import entry_of
from tests.unit.conformance.report_results import result_of as made

CHECKS = sorted({fault.check for fault in FAULTS.values()})
PAIRS = {
    "a failure of the gateway, and a hint to retry": ("gateway-auth-passed-on", "retry-not-forbidden"),
    "a persona, and the order of messages": ("persona-lost", "instructions-last"),
    "a foreign host, and the address of the server itself": ("any-host", "v6-loopback-refused"),
    "metadata, and compressed answers": ("metadata-missing", "gzip-unread"),
    "media types, and keys": ("media-type-unchecked", "key-unchecked"),
    "two headers of a stream": ("stream-cached", "stream-buffered-by-nginx"),
    "ids that repeat, and ids without their prefix": ("one-id-for-all", "id-without-prefix"),
    "a path with a slash, and connections": ("slash-redirects", "says-close-each-time"),
    "two fields of an error": ("param-missing", "code-number"),
    "the id of a request, and that of the client": ("request-id-missing", "C85-request-id-lost"),
    "a traceback, and an address": ("C75-traceback", "gateway-address-in-error"),
    "two options": ("options-without-zeros", "options-without-stop"),
    "two texts": ("joiners-stripped", "quotes-straightened"),
    "silence in a stream, and a comment in an event": ("silent-while-waiting", "comment-within-event"),
    "errors that become 5xx, and a hint to retry": ("forwards-4xx-as-500", "forwards-no-hint"),
    "errors that become 5xx, and others that become 4xx": ("forwards-4xx-as-500", "forwards-5xx-as-400"),
    "the finish_reason of a call, and of a limit": ("tool-stream-says-stop", "length-sent-as-stop"),
    "zeros, and a limit": ("options-without-zeros", "options-without-new-limit"),
    "instructions, and options": ("forwards-no-system", "forwards-bad-options"),
    "two fields of an answer": ("refusal-dropped", "logprobs-dropped-in-streams"),
    "codes, and messages": ("forwards-status-as-code", "forwards-own-words"),
    "codes of the server, and of the gateway": ("code-number", "forwards-status-as-code"),
}


def result_of(check: str, found: str = "") -> Result:
    """Return the result of a check that has found this, or that passes."""
    failure = Failure("another value", found) if found else None
    return made(entry_of(check), "failed" if found else "passed", failure=failure)


def checks_by_cause(**found: str) -> dict[str, tuple[str, ...]]:
    """Return the checks of each cause, where some checks fail and all others pass."""
    failures = {name.replace("_", "-"): text for name, text in found.items()}
    return {each.name: each.checks for each in causes_of([result_of(each, failures.get(each, "")) for each in CHECKS])}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_two_defects_have_two_causes(pair: tuple[str, str]) -> None:
    """Two faults of the catalogue in one server are two causes, with one check each."""
    failures = {FAULTS[name].check: FAILURES[name].found for name in pair}
    assert len(failures) == 2
    assert sorted(checks_by_cause(**failures).values()) == sorted((check,) for check in failures)


def test_what_is_missing_as_a_whole_is_one_cause() -> None:
    """A server that passes on every status of its gateway has one cause, also for checks with other values."""
    found = {check: f"status {500 + n}" for n, check in enumerate(CHECKS) if check.startswith(("G3-", "G8-"))}
    assert list(checks_by_cause(**found)) == ["gateway-failures"]


def test_a_few_failures_are_not_a_whole() -> None:
    """Three checks of failures of the gateway are three causes, also where no other one was judged."""
    results = [result_of(f"G3-{name}", f"status 50{n}, {name}") for n, name in enumerate(("reset", "html", "tls"))]
    assert len(causes_of(results)) == 3
    assert len(causes_of([*results, result_of("G3-away", "status 500")])) == 1


ONE_DEFECT: dict[str, dict[str, str]] = {
    "zeros-dropped": {
        "G15-temperature-zero": "no temperature; status 200, complete, the text 'a'",
        "G15-seed-zero": "no seed; status 200, complete, the text 'a'",
        "G15-parallel-tool-calls-false": "no parallel_tool_calls; status 200, complete",
    },
    "tool-calls-end-with-stop": {
        "G9-finish": "'stop'", "C9.6": 'finish_reason is "stop"', "E8.6": 'finish_reason is "stop"; and 1 more',
    },
    "4xx-becomes-5xx": {
        "G3-class-400": 'status 500, complete, the error {"message": "a"}',
        "G3-class-429": "status 502, complete, no text",
        "G8-forwarded-retry-after": 'status 500, complete, the error {"message": "b"}',
    },
    "status-as-code": {
        "G3-code-400": "the code 400", "G3-code-429": "the code 429", "F1.7-gateway_error": "code is 500",
    },
    "chunked-bodies": {
        "H6-chunked": "status 500, complete, text/html, no text",
        "H2-body-in-chunks": "after status 404, the body of the first request is read as a request: status 400",
    },
    "no-chat-forwarded": {
        "G1-forwarded-lone": "{'error': Invalid value for 'messages': messages is missing, expected",
        "G1-forwarded-image": "none; status 200, complete, the text 'a'",
        "G2-forwarded-lone": "none; missing: user: hi",
        "G2-forwarded-image": "none; status 200, complete",
    },
    "only-the-text": {
        "G10-finish-length": 'finish_reason: "stop"',
        "G10-refusal": 'refusal: "What is refusal?"',
        "G10-logprobs": "no logprobs; status 200, complete, the text 'a'",
        "G11-usage": 'usage: {"prompt_tokens": 1}',
    },
}  # fmt: skip


@pytest.mark.parametrize(("cause", "found"), ONE_DEFECT.items(), ids=ONE_DEFECT)
def test_one_defect_has_one_cause(cause: str, found: dict[str, str]) -> None:
    """What one defect does to several checks is one cause, whatever each of them found."""
    assert [each.name for each in causes_of([result_of(*each) for each in found.items()])] == [cause]


def test_what_is_lost_with_every_value_is_no_matter_of_zeros() -> None:
    """A server that drops an option also where its value is not 0 does not drop zeros; one zero is no pattern."""
    zeros = ONE_DEFECT["zeros-dropped"]
    failed = [result_of(*each) for each in (zeros | {"G15-seed": "no seed; status 200, complete"}).items()]
    every = causes_of(
        [*failed, *(result_of(f"G15-{option}") for option in ("stop", "tools", "user", "format", "logprobs"))]
    )
    assert [(each.name, len(each.checks)) for each in every] == [
        ("G15: no seed", 2),
        ("G15: no parallel_tool_calls", 1),
        ("G15: no temperature", 1),
    ]
    (one,) = causes_of([result_of("G15-seed-zero", zeros["G15-seed-zero"])])
    assert one.name == "G15: no seed"


@pytest.mark.parametrize("label", ["@linux", "@mac-os", "@a@b-c"])
@pytest.mark.parametrize(
    ("check", "row", "found", "cause"),
    [
        ("D1.1", "", "content-type: text/plain", "no-stream"),
        ("F1.2", "lost", "<html>", "errors-are-web-pages"),
        ("H2", "id-stream", "no x-request-id", "no-request-id"),
    ],
)
def test_the_label_of_a_system_does_not_matter(check: str, row: str, found: str, cause: str, label: str) -> None:
    """The checks of several systems in one report have the causes that they have alone, those of a row, too."""
    entries = [entry_of(f"{check}{each}", parameters=row, label=each) for each in (label, "@other")]
    failed = [made(each, "failed", failure=Failure("another", found)) for each in entries]
    assert [each.name for each in causes_of(failed)] == [cause]


def test_a_labelled_row_is_run_again_by_its_own_name(pytestconfig: pytest.Config) -> None:
    """The command of a merged report names the row of a check, or the file of a test without a number."""
    row = entry_of("F1.2@linux", parameters="gateway_error", label="@linux")
    plain = replace(entry_of("", label="@linux"), nodeid="tests/unit/test_a.py::test_b[x@y]@linux")
    command = repeat_command(pytestconfig, [row, plain, replace(row, check_id="F1.2@mac", label="@mac")])
    assert command == "python -m pytest --only F1.2-gateway_error 'tests/unit/test_a.py::test_b[x@y]'"


@pytest.mark.parametrize(
    ("check", "found", "is_unread"),
    [
        ("H6-chunked", "status 400, complete, the error {}, no text", True),
        ("H6-chunked", "status 411, complete, the error {}, no text", True),
        ("H6-chunked", "status 501, complete, no text", True),
        ("H2-body-in-chunks", "after status 404, the body of the first request is read as a request: status 400", True),
        ("H6-chunked", "status 429, complete, the error {}, no text", False),
        ("H6-chunked", "status 500, complete, no text", False),
        ("H6-chunked", "no response: timeout", False),
        ("H6-chunked", "status 200, complete, the text 'status 400'", False),
    ],
)
def test_unread_chunks(check: str, found: str, is_unread: bool) -> None:  # noqa: FBT001 -- a row
    """A body in chunks is not read if that is what the response says; a limit or a crash says something else."""
    (cause,) = causes_of([result_of(check, found)])
    assert (cause.name == "chunked-bodies") == is_unread
