"""Requests that our own proxy must accept because OpenAI or LM Studio accept them, or because the field has no effect.

Clients are written for those servers. A client sends its history again with every turn, so an error for such a request
ends the conversation. `tests/unit/proxy/client_requests.py` names clients that send these requests.
"""

from lumen_conformance.contract.bad_requests import IMAGE, TOOL
from lumen_conformance.contract.session import AWKWARD_TEXT

QUESTION = {"role": "user", "content": AWKWARD_TEXT}
ANSWER = {"role": "assistant", "content": "ok"}

LENIENT_REQUESTS: dict[str, dict[str, object]] = {
    "tools-without-choice": {"tools": [TOOL]},
    "tools-auto": {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    "functions": {"functions": [TOOL["function"]], "function_call": "auto"},
    "no-limit": {"max_tokens": -1},
    "no-stop": {"stop": []},
    "no-bias": {"logit_bias": []},
    "only-a-system-message": {"messages": [{"role": "system", "content": AWKWARD_TEXT}]},
    "system-last": {"messages": [QUESTION, {"role": "system", "content": "be brief"}]},
    "old-image": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]}, ANSWER, QUESTION]
    },
    "half-an-emoji": {"messages": [{"role": "user", "content": "\ud83c"}, ANSWER, QUESTION]},
}
