"""Requests that OpenAI, LM Studio or both accept, or whose odd field has no effect: to be answered by our own proxy.

Clients are written for those servers. Refusing such a request ends a conversation for good, since a client sends its
history again with every turn. `tests/unit/proxy/client_requests.py` names clients that send them.
"""

from lumen_conformance.contract.bad_requests import IMAGE, TOOL
from lumen_conformance.contract.session import WORDS

QUESTION = {"role": "user", "content": WORDS}
ANSWER = {"role": "assistant", "content": "ok"}

LENIENT: dict[str, dict[str, object]] = {
    "tools-without-choice": {"tools": [TOOL]},
    "tools-auto": {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    "functions": {"functions": [TOOL["function"]], "function_call": "auto"},
    "no-limit": {"max_tokens": -1},
    "no-stop": {"stop": []},
    "no-bias": {"logit_bias": []},
    "only-a-system-message": {"messages": [{"role": "system", "content": WORDS}]},
    "system-last": {"messages": [QUESTION, {"role": "system", "content": "be brief"}]},
    "old-image": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]}, ANSWER, QUESTION]
    },
    "half-an-emoji": {"messages": [{"role": "user", "content": "\ud83c"}, ANSWER, QUESTION]},
}
