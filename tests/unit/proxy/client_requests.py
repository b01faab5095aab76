"""Chat requests as widely used clients send them, one row each, with the public source of its form.

The bodies are written by hand from the fields in the source; texts and names are invented.
"""

from __future__ import annotations

from typing import Any, NamedTuple

QUESTION = {"role": "user", "content": "안녕하세요"}
PART = {"type": "text", "text": "안녕하세요"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Seoul"}'}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "Weather", "schema": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "weather"}}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


class ClientRequest(NamedTuple):
    """A request. `ignored`: the fields that its answer lists as ignored, with spaces between."""

    source: str
    body: dict[str, Any]
    ignored: str = ""
    replaced_parts: int = 0


ANSWERED = {
    "lm-studio-curl": ClientRequest(
        "lmstudio-ai/docs 0_app/4_api/2_rest/v0.md (4694b13)",
        {
            "model": "granite-3.0-2b-instruct",
            "messages": [{"role": "system", "content": "Always answer in rhymes."}, QUESTION],
            "temperature": 0.7,
            "max_tokens": -1,
            "stream": False,
        },
        "max_tokens temperature",
    ),
    "lm-studio-parameters": ClientRequest(
        "lmstudio-ai/docs 1_developer/3_openai-compat/chat-completions.md (51c92c6)",
        {
            "model": "lumen-sena",
            "messages": [QUESTION],
            "top_p": 0.95,
            "top_k": 40,
            "stop": [],
            "logit_bias": {},
            "repeat_penalty": 1.1,
            "seed": -1,
            "ttl": 300,
        },
        "logit_bias repeat_penalty seed top_k top_p ttl",
    ),
    "open-webui-chat-with-an-old-image": ClientRequest(
        "open-webui/open-webui#16229 (0.6.18)",
        {
            "model": "lumen-sena:latest",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "what is this?"}, IMAGE]},
                {"role": "assistant", "content": "I cannot see it."},
                QUESTION,
            ],
            "stream": True,
        },
        replaced_parts=1,
    ),
    "open-webui-title": ClientRequest(
        "open-webui/open-webui backend/open_webui/routers/tasks.py (074d488)",
        {"model": "lumen-sena", "messages": [QUESTION], "stream": False, "max_completion_tokens": 1000},
        "max_completion_tokens",
    ),
    "continue-chat": ClientRequest(
        "continuedev/continue core/llm/openaiTypeConverters.ts (0228b89)",
        {
            "model": "lumen-elo",
            "messages": [
                {"role": "system", "content": "You are a coding assistant."},
                {"role": "user", "content": [{"type": "text", "text": "look"}, {**IMAGE, "detail": "auto"}]},
                {"role": "assistant", "content": " "},
                QUESTION,
            ],
            "max_tokens": 4096,
            "temperature": 0.5,
            "stream": True,
        },
        "max_tokens temperature",
        replaced_parts=1,
    ),
    "continue-agent": ClientRequest(
        "continuedev/continue core/llm/openaiTypeConverters.ts (0228b89)",
        {
            "model": "lumen-elo",
            "messages": [
                {"role": "system", "content": "You are in agent mode."},
                QUESTION,
                {"role": "assistant", "content": " ", "tool_calls": [CALL]},
                {"role": "tool", "content": "", "tool_call_id": "call_1"},
            ],
            "max_tokens": 4096,
            "stream": True,
            "tools": [{"type": "function", "function": {**FUNCTION, "strict": False}}],
        },
        "max_tokens tools",
    ),
    "cline-text-protocol": ClientRequest(
        "cline/cline src/core/api/providers/openai.ts (0162b82)",
        {
            "model": "openai/lumen-elo",
            "messages": [
                {"role": "system", "content": "You are Cline."},
                {"role": "user", "content": [{"type": "text", "text": "<task>fix it</task>"}, IMAGE]},
                {"role": "assistant", "content": "<read_file></read_file>"},
                {"role": "user", "content": [{"type": "text", "text": "[read_file] Result:"}, PART]},
            ],
            "temperature": 0,
            **WITH_USAGE,
        },
        "temperature",
        replaced_parts=1,
    ),
    "cline-native-tools": ClientRequest(
        "cline/cline src/core/api/providers/openai.ts (0162b82)",
        {
            "model": "lumen-elo",
            "messages": [{"role": "developer", "content": "You are Cline."}, QUESTION],
            "reasoning_effort": "medium",
            "tools": [TOOL],
            **WITH_USAGE,
        },
        "reasoning_effort tools",
    ),
    "sillytavern": ClientRequest(
        "SillyTavern/SillyTavern src/endpoints/backends/chat-completions.js (b588796)",
        {
            "messages": [
                {"role": "system", "content": "Write the next reply of Sena."},
                {"role": "system", "content": "[Start a new Chat]"},
                {"role": "assistant", "content": "Hello!", "name": "Sena"},
                {**QUESTION, "name": "Kim"},
                {"role": "system", "content": "Stay in character."},
            ],
            "model": "lumen-sena",
            "temperature": 1,
            "max_tokens": 300,
            "stream": True,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_p": 1,
            "top_k": 0,
            "stop": [],
            "logit_bias": {},
            "seed": 4294967295,
            "n": 1,
            "tools": [TOOL],
            "tool_choice": "auto",
        },
        "frequency_penalty logit_bias max_tokens presence_penalty seed temperature tool_choice tools top_k top_p",
    ),
    "sillytavern-impersonation": ClientRequest(
        "SillyTavern/SillyTavern src/endpoints/backends/chat-completions.js (b588796)",
        {
            "messages": [{"role": "system", "content": "Write as Kim."}, {"role": "system", "content": "Begin."}],
            "model": "lumen-sena",
            "stream": False,
            "stop": "",
            "logit_bias": [],
        },
        "logit_bias",
    ),
    "dify-validation": ClientRequest(
        "langgenius/dify-plugin-sdks python/dify_plugin/interfaces/model/openai_compatible/llm.py (0021d0c)",
        {"model": "lumen-sena", "max_tokens": 5, "messages": [{"role": "user", "content": "ping"}]},
        "max_tokens",
    ),
    "dify-agent": ClientRequest(
        "langgenius/dify-plugin-sdks python/dify_plugin/interfaces/model/openai_compatible/llm.py (0021d0c)",
        {
            "model": "lumen-sena",
            "stream": True,
            "temperature": 0.7,
            "top_p": 1.0,
            "max_tokens": 512,
            "messages": [{"role": "system", "content": "Be brief."}, QUESTION],
            "tool_choice": "auto",
            "tools": [TOOL],
            "stop": ["Observation"],
            "user": "3f6f2c1e",
        },
        "max_tokens temperature tool_choice tools top_p",
    ),
    "langchain-bind-tools": ClientRequest(
        "langchain-ai/langchain libs/partners/openai/langchain_openai/chat_models/base.py (6c89507)",
        {
            "model": "lumen-sena",
            "messages": [
                QUESTION,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {
                    "role": "tool",
                    "content": [{"type": "text", "text": "맑음"}],
                    "tool_call_id": "call_1",
                },
            ],
            "stream": False,
            "max_completion_tokens": 256,
            "tools": [TOOL],
            "parallel_tool_calls": False,
        },
        "max_completion_tokens parallel_tool_calls tools",
    ),
    "openai-agents": ClientRequest(
        "openai/openai-agents-python src/agents/models/openai_chatcompletions.py (027644f)",
        {
            "messages": [{"content": "You are a helper.", "role": "system"}, QUESTION],
            "model": "lumen/lumen-nuri",
            "tools": [TOOL],
            "parallel_tool_calls": True,
            "store": True,
            "metadata": {"trace": "1"},
        },
        "metadata parallel_tool_calls store tools",
    ),
    "openai-agents-stream": ClientRequest(
        "openai/openai-agents-python src/agents/models/openai_chatcompletions.py (027644f)",
        {"messages": [QUESTION], "model": "lumen-nuri", "tool_choice": "none", "tools": [TOOL], **WITH_USAGE},
        "tool_choice tools",
    ),
    "instructor-md-json": ClientRequest(
        "instructor-ai/instructor instructor/process_response.py (d968970)",
        {
            "model": "lumen-sena",
            "messages": [
                {"role": "system", "content": "Return JSON in a markdown code block."},
                QUESTION,
                {"role": "user", "content": "Return the correct JSON response within a ```json codeblock."},
            ],
        },
    ),
    "codex-chat": ClientRequest(
        "openai/codex codex-rs/core/src/chat_completions.rs (3868abc)",
        {
            "model": "lumen-elo",
            "messages": [
                {"role": "system", "content": "You are a coding agent."},
                QUESTION,
                {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning": "look first"},
                {"role": "tool", "tool_call_id": "call_1", "content": "맑음"},
            ],
            **WITH_USAGE,
            "tools": [TOOL],
        },
        "messages[].reasoning tools",
    ),
}

INSTRUCTOR = "instructor-ai/instructor instructor/process_response.py (d968970)"
LANGCHAIN = "langchain-ai/langchain libs/partners/openai/langchain_openai/chat_models/base.py (6c89507)"
# Requests with unsupported fields: refused with a remedy, and answered with LUMEN_UNSUPPORTED=ignore.
REFUSED = {
    "instructor-tools": ClientRequest(
        INSTRUCTOR,
        {"model": "lumen-sena", "messages": [QUESTION], "tools": [TOOL], "tool_choice": NAMED},
        "tool_choice tools",
    ),
    "instructor-functions": ClientRequest(
        INSTRUCTOR,
        {"model": "m", "messages": [QUESTION], "functions": [FUNCTION], "function_call": {"name": "weather"}},
        "function_call functions",
    ),
    "instructor-json": ClientRequest(
        INSTRUCTOR,
        {"model": "lumen-sena", "messages": [QUESTION], "response_format": {"type": "json_object"}},
        "response_format",
    ),
    "langchain-structured-output": ClientRequest(
        LANGCHAIN,
        {"model": "m", "messages": [QUESTION], "stream": False, "response_format": JSON_SCHEMA},
        "response_format",
    ),
    "openai-agents-required": ClientRequest(
        "openai/openai-agents-python src/agents/models/openai_chatcompletions.py (027644f)",
        {"model": "lumen-sena", "messages": [QUESTION], "tools": [TOOL], "tool_choice": "required", **WITH_USAGE},
        "tool_choice tools",
    ),
    "open-webui-image-in-the-question": ClientRequest(
        "open-webui/open-webui#16229 (0.6.18)",
        {"model": "lumen-sena", "messages": [{"role": "user", "content": [IMAGE]}], "stream": True},
        replaced_parts=1,
    ),
    "langchain-two-choices": ClientRequest(
        LANGCHAIN, {"model": "lumen-sena", "messages": [QUESTION], "stream": False, "n": 2}, "n"
    ),
}
