"""C5: the usage of a plain answer."""

from collections.abc import Iterator

from lumen_conformance.checks.findings import plain_document, wrong_value
from lumen_conformance.checks.preconditions import COUNTS, require_answer_object, require_usage, require_usage_and_text
from lumen_conformance.checks.verdict import Finding, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer_json
from lumen_conformance.http.strict_json import is_whole


@judge(
    "C5.1",
    "M",
    "openapi.yaml: CompletionUsage; PaddlePaddle/FastDeploy#3247 omitted one; llm --no-stream fails without usage",
    given=require_answer_object,
)
def usage_present(capture: Capture) -> Iterator[Finding]:
    """The usage has three counts, each a whole number."""
    if not isinstance(answer_json(capture).get("usage"), dict):
        yield wrong_value(plain_document(capture), ("usage",), f"an object with {', '.join(COUNTS)}")
        return
    for name in COUNTS:
        if not is_whole(answer_json(capture)["usage"].get(name)):
            yield wrong_value(plain_document(capture), ("usage", name), "an integer")


@judge("C5.2", "S", "openapi.yaml: CompletionUsage; the original proxy rounded each count down", given=require_usage)
def usage_adds_up(capture: Capture) -> Iterator[Finding]:
    """The counts of the usage are at least 0, and the total is the sum of the other two."""
    prompt, completion, total = (answer_json(capture)["usage"][name] for name in COUNTS)
    for name in COUNTS:
        if answer_json(capture)["usage"][name] < 0:
            yield wrong_value(plain_document(capture), ("usage", name), "at least 0")
    if total != prompt + completion:
        yield wrong_value(
            plain_document(capture), ("usage", "total_tokens"), f"{prompt + completion} ({prompt} + {completion})"
        )


@judge("C5.3", "S", "bkataru/igllama#82 sent zeros", given=require_usage_and_text)
def usage_is_counted(capture: Capture) -> Iterator[Finding]:
    """The usage of a non-empty question and answer is more than zero."""
    for name in COUNTS[:2]:
        if answer_json(capture)["usage"][name] == 0:
            yield wrong_value(plain_document(capture), ("usage", name), "more than 0")


JUDGES = judges_in(globals())
