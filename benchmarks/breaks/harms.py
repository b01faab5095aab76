"""The second kind of evidence for tier M: harm that no client reports, because it looks like a good answer.

Each row has patterns of check ids, the kind of harm and the reason. The first row that matches a check counts.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from lumen_conformance.contract.gateway_failures import GATEWAY_FAILURES, NO_RETRY


class Harm(NamedTuple):
    """The harm to a user where this check fails."""

    checks: str
    kind: str
    reason: str


HARMS = (
    Harm("D7", "smuggled", "with two framings a proxy and a server see two different requests (RFC 9112, 6.3)"),
    Harm(
        "H2-body-* F3-key-body",
        "smuggled",
        "the body of one request is read as the next one, so the next caller gets another response (RFC 9112, 9.3)",
    ),
    Harm("F3-key-stays-here", "leaked", "the caller's key reaches another server"),
    Harm(
        "F3-no-key F3-wrong-key F3-key-*",
        "leaked",
        "a caller without the key is answered, and the owner of the key pays",
    ),
    Harm("C1.1", "lost", "a good question is refused; the named fault, status 201, breaks nobody"),
    Harm("E10", "lost", "the text of a streamed answer is missing, without an error"),
    Harm("C9.7", "lost", "langchain-openai 1.7.3: with_structured_output gives None in place of the answer"),
    Harm("C9.2 E8.9", "mixed up", "the results of two tool calls refer to one call"),
    Harm("C9.* E8.*", "lost", "the client cannot run the tool call that it required"),
    Harm("C3.3", "lost", "answers that the server declares are refused"),
    # Whether a client reads the refusal before the reset depends on timing, so no run can decide it.
    Harm("F3-oversize-huge", "lost", "the reason is lost with the connection, and megabytes are sent three times"),
    Harm("F3-right-key", "lost", "a request with the right key is refused"),
    Harm("F5-shows-nothing", "leaked", "a caller that makes a server fail sees its internals"),
    Harm("F5-framed", "lost", "half an answer looks like a whole one, or a whole one is discarded"),
    Harm("F6.1", "leaked", "a caller that makes a server fail sees its code and data, keys included (CWE-209)"),
    Harm("F6.3", "leaked", "a caller learns an address behind the server, which needs no key (CWE-209)"),
    Harm("F6.4", "leaked", "a key is shown"),
    Harm("F7 F7-after-odd", "lost", "a good request fails because of the request of another caller"),
    Harm("G1-health-costs-nothing", "paid twice", "each request of a monitor costs an answer"),
    Harm("G1-*", "paid twice", "one request costs two answers, or is refused behind the server and lost"),
    Harm(
        "G10-finish-*",
        "lost",
        "half an answer looks like a whole one: parse() of openai 2.54.0 raises only for length and content_filter",
    ),
    Harm("G10-refusal", "lost", "the text of a refusal is missing, without an error"),
    Harm("G12-*", "lost", "a paid answer does not arrive: openai 2.54.0 and litellm 1.106.2 give no text, or raise"),
    Harm("G13-cut", "lost", "openai 2.54.0, langchain-openai 1.7.3, litellm 1.106.2 give half a text, without error"),
    Harm("G13-plain", "paid twice", "a paid answer is an error, and after a 5xx clients ask again"),
    Harm("G13-*", "lost", "the rest of a paid answer does not arrive: openai 2.54.0 raises APIError"),
    Harm("G3-first-event", "lost", "a request that failed has an empty answer, without an error"),
    Harm("G2-no-forgery", "mixed up", "a text looks like the turn of another role"),
    Harm("G2-persona-*", "mixed up", "another persona answers"),
    Harm("G2-no-persona", "mixed up", "a persona answers that was not requested"),
    Harm("G2-user", "mixed up", "one user's question is filed under another"),
    Harm("G2-too-long", "lost", "the end of a question is cut off without an error"),
    Harm("G2-dropped-is-disclosed", "lost", "turns of a conversation are dropped without a notice"),
    Harm(
        "G2-forwarded-* G2-lone-message G2-order G2-parts G2-role G2-tool-calls",
        "lost",
        "a part of the request does not reach the model",
    ),
    Harm(
        "G15-tools G15-tool-choice-named G15-response-format-*",
        "lost",
        "the tools or the schema do not reach the model, so a program gets words where it needs a call or an object",
    ),
    Harm("G15-max-*", "paid twice", "text beyond the limit is paid, although the request excludes it"),
    Harm("G3-*", "lost", "the text of an error looks like an answer, or a request is repeated and paid twice"),
    Harm(
        "G10-unknown-member G4-drift-* G4-extra-fields G4-no-sources G4-persona-with-name-only G4-timestamp-*",
        "lost",
        "a paid answer is discarded because of another field",
    ),
    Harm("G5-*", "lost", "characters of a question or of an answer are lost or changed"),
    Harm(
        "G6 G6-in-mid-stream",
        "paid twice",
        "an answer is paid whose client has left: openai-python 2.54.0 leaves after its time-out and asks twice more "
        "(plain: BerriAI/litellm#37140; streamed: QuantumNous/new-api#4184)",
    ),
    Harm(
        "G14-stream-goes-on G14-other-model G14-abort-* G14-after-aborts-*",
        "lost",
        "a question or its answer is lost because another client asks or leaves",
    ),
    Harm("G16-*", "mixed up", "the options or the turns of one caller are in the request of another"),
    Harm("G7.1 H2-own-answers", "mixed up", "a caller reads the answer of another caller"),
    Harm(
        " ".join(
            f"G8-{name}"
            for name in ("silent", "tls", *(name for name, row in GATEWAY_FAILURES.items() if row.hints == NO_RETRY))
        ),
        "paid twice",
        "a client repeats a paid request, three times in all",
    ),
    Harm("G9-*", "lost", "a tool call is lost, or runs with other arguments"),
    Harm("H5-exposed", "paid twice", "a page that cannot read x-should-retry repeats a paid request"),
    Harm(
        "H5-host-missing H5-host-twice H5-host-in-target",
        "smuggled",
        "two servers disagree about the host of a request",
    ),
    Harm("H5-host-own-* H5-declared-* H5-own-page-[0-9]", "lost", "a request that the owner allows is refused"),
    Harm(
        "H5-host-* H5-origin-* H5-own-page-* H5-preflight", "leaked", "a foreign page reads answers, and the owner pays"
    ),
)

OPENCODE = "opencode 1.3.13 ends its turn after the call and never sends the result (anomalyco/opencode#20719)"
SILLY_TAVERN = "SillyTavern b588796"
# Public reports about named clients, and what single programs observed.
RECORDED: dict[str, str] = {
    "B2.1": "go-openai in SiYuan raises on a float (siyuan-note/siyuan#14787)",
    "C6.1": "AutoGen 0.2 sends the empty list back, and the next request is refused (microsoft/autogen#3120)",
    "G9-finish": OPENCODE,
    "E8.8": "vLLM's example client with openai-python joins two calls into one (ai-dynamo/dynamo#4723)",
    "E8.10": "openai 2.54.0 raises IndexError, marimo too (marimo-team/marimo#7330)",
    "D1.1": (
        "HuggingChat raises on others (huggingface/chat-ui#430); EvalScope loses usage (vllm-project/vllm-ascend#6985)"
    ),
    "E2.1": "@langchain/openai in n8n loses the tool calls of a message without a role (diegosouzapw/OmniRoute#3911)",
    "E3.2": "OpenAI's library for .NET raises ArgumentOutOfRangeException on an empty one (mudler/LocalAI#5102)",
    "E3.4": "opencode raises `content after the finish reason` (anomalyco/opencode#49167)",
    "D3.1": "inference-benchmarker 687e477 takes a stream without [DONE] for a failure (ikawrakow/ik_llama.cpp#467)",
    "C8.1": "LiteLLM's proxy drops records of what was paid when answers share an id (BerriAI/litellm#28376)",
    "C8.4": "LiteLLM's proxy drops records of what was paid when answers share an id (BerriAI/litellm#28376)",
    "F1.7": (
        "Envoy AI Gateway 0.6.0 sends 500 without a body instead (envoyproxy/ai-gateway#2151); "
        "OpenAI's library for Java raises OpenAIInvalidDataException (sgl-project/sglang#32808)"
    ),
    "E5.3": (
        "livekit-agents 1.6.5 (until 1.6.9) raises APIConnectionError where a count is null or absent "
        "(livekit/agents#6595)"
    ),
    "E5.5": "SpeakGPT raises IndexOutOfBoundsException on a chunk without choices (AndraxDev/speak-gpt#162)",
    # Sources of these requests: tests/unit/proxy/client_requests.py.
    "H8-unasked": (
        "agent-vision-toolkit raises UnicodeDecodeError on gzip (Anionex/agent-vision-toolkit#36), "
        "openai-python 2.54.0 raises JSONDecodeError on br"
    ),
    "H8-accepted-stream": "OpenCode Desktop raises ZlibError (open-webui/open-webui#23920)",
    "H8-accepted-error": "openai-python 2.54.0 raises APIConnectionError (as tombii/better-ccflare#243)",
    "H8-gateway-plain": "OpenCode Desktop raises ZlibError (open-webui/open-webui#23920)",
    "H8-gateway-stream": "Chrome raises ERR_CONTENT_DECODING_FAILED (open-webui/open-webui#23876)",
    "H8-gateway-accepted": "Codex gets an error instead of each answer (headroomlabs-ai/headroom#51)",
    "H6-apart": (
        "openai 3.57.0 (Python), 60 questions to a server that reads a request once: BadRequestError for 37, as head "
        "and body are sent apart"
    ),
    "H6-charset": "AutoDev cannot use such a server (phodal/auto-dev#289)",
    "H6-chunked": "Roo Code cannot use such a server (antirez/ds4#423)",
    "H6-large-body": "aider raises litellm.APIError where a body has at most 100 KB (lutzleonhardt/copilot-proxy#4)",
    "H6-large-picture": (
        "Open WebUI sends a picture with the question and shows an error in place of an answer "
        "(mnfst/llm-gateway#2126, agentgateway/agentgateway#2715)"
    ),
    "H6-names-lower": "Codex 0.135.0 cannot use such a server (RakuenSoftware/aimee#27)",
    "H6-upgrade": (
        "OpenRefine's llm-extension 0.1.2 times out (lmstudio-ai/lmstudio-bug-tracker#1079), "
        "DBeaver 26.1.4 gets 400 (Soju06/codex-lb#1760)"
    ),
    "H4-content-parts": "Cline 0162b82 sends each turn so",
    "H4-developer": "Cline 0162b82 and pi send it where a model reasons (peonist-ai/halogen-flash-server#32)",
    "H4-limits-zero": "Cline 0162b82 sends it with every turn",
    "G15-max-completion-tokens": (
        "pi summarizes without the limit, waits for 40,000 tokens, counts it as failed, and clears the context "
        "(ikawrakow/ik_llama.cpp#2321)"
    ),
    "H4-turns-assistant-parts": "Cline 0162b82 sends each turn so",
    "H4-turns-call-without-content": "aichat leaves out the content beside a tool call (sigoden/aichat#1326)",
    "H4-turns-result-parts": "openai-go sends each result of a tool so (BerriAI/litellm#25993)",
    "H4-turns-systems": "SillyTavern sends several instructions (mlc-ai/mlc-llm#2311)",
    "H4-turns-two-users": "VS Code Copilot sends questions in a row (inferencerlabs/inferencer-feedback#122)",
    "H4-lenient-no-bias": f"{SILLY_TAVERN} sends it when it impersonates, and shows an error",
    "H4-lenient-no-stop": f"{SILLY_TAVERN} sends it with every turn",
    "H4-lenient-old-image": (
        "Open WebUI 0.6.18 sends it again with every turn, so the conversation ends (open-webui/open-webui#16229)"
    ),
    "H4-lenient-only-a-system-message": f"{SILLY_TAVERN} sends it when it impersonates",
    "H4-lenient-system-last": f"{SILLY_TAVERN} sends it with every turn",
    "H4-lenient-tools-auto": f"{SILLY_TAVERN} sends it with every turn",
    "H4-lenient-tools-without-choice": "Continue 0228b89 sends it with every turn of its agent",
}

# A check → the check that names its faults.
SAME = {
    "H3-list-bare": "H3-list",
    "H3-list-bare-wire": "H3-list-wire",
}
# Checks of tier M that no client notices and that are no harm of these kinds: proposed for tier S, with the reason.
NOTICED: dict[str, str] = {
    "D5-waits": "without comments a waiting stream is only silent; time-outs of proxies begin at 30 s and more",
    "E9*": "a stream that is collected until its end loses nothing; a user waits longer for the first text",
    "F3-limit-is-inclusive": "a request of exactly one length is refused with a reason",
    "F3-allow": "no client uses another method, and none reads Allow",
    "F3-wrong-method-*": "no client uses another method",
    "F3-media-type-*": "no client sends another media type than application/json",
    "F3-unknown-*": "another 4xx is another class of error; every client raises",
    "F6.2": "the name of a file is no secret; F6.1 is about tracebacks",
    "F5-code-*": "another code; every client raises",
    "G2-stop": "text after a stop sequence is shown; nothing is lost",
    "G2-unknown-model": "it discloses that another model answers; the answer is complete",
    "G4-ignored-is-disclosed": "metadata of an answer; the answer is complete",
    "G4-in-streams": "metadata of an answer; the answer is complete",
    "G4-metadata": "metadata of an answer; the answer is complete",
    "G8-*": "a client waits too long, too short or not at all; each attempt is allowed",
    "H4-lenient-functions": "no client is known to send functions without demanding one",
    "H4-lenient-no-limit": "no client is known to send -1; a documented request of LM Studio has it",
    "H4-lenient-half-an-emoji": "no client is known to send half of a surrogate pair",
    "H4-health": "no client reads it; monitors do",
    "H5-no-cors-by-default": "an answer to a request without an Origin is read by no page",
}


def harm_of(check: str) -> Harm | None:
    """The harm where a check fails, or None."""
    return next((harm for harm in HARMS if any(fnmatchcase(check, each) for each in harm.checks.split())), None)


def noticed(check: str) -> str | None:
    """The reason for tier S of a check that is no judge; None when there is no decision."""
    return next((reason for pattern, reason in NOTICED.items() if fnmatchcase(check, pattern)), None)
