"""The Lumen protocol: requests to the gateway and Cloud AI, and their answers.

Only the text of an answer is needed. Another field with an unexpected type is dropped, and `Answer.warnings` names it.
A warning never quotes the answer, which may repeat the text of a user.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.api_errors import api_error
from lumen_proxy.wire.compression import decompress
from lumen_proxy.wire.text import check_depth, decode_utf8, replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.errors import ApiError

MAX_BYTES = 8 * 1024 * 1024  # the default of LUMEN_MAX_RESPONSE_BYTES
KNOWN = ("response", "content", "persona", "persona_used", "sources", "timestamp")
BAD_NUMBER = "NaN, Infinity or a number that is too large: read as null"
MAX_DIGITS = 4300  # what Python converts to an integer
LONE_SURROGATE = "lone surrogate replaced by U+FFFD"


@dataclass(frozen=True)
class GatewayAnswer:
    """An answer of either channel. `timestamp` is passed on without parsing, since its form varies."""

    text: str
    persona: dict[str, Any] | None
    sources: list[str]
    timestamp: str | None
    warnings: tuple[str, ...] = ()


def gateway_request(message: str, persona: str | None, user_id: str | None) -> dict[str, str]:
    """`{"message", "persona"?, "user_id"?}`."""
    optional = {"persona": persona, "user_id": user_id}
    return {"message": message} | {name: value for name, value in optional.items() if value}


def gateway_answer(data: bytes, *, max_bytes: int = MAX_BYTES) -> GatewayAnswer:
    """Parse `{"success", "persona", "response", "sources", "timestamp", "error"?}`.

    Raises ApiError: gateway_invalid_response, gateway_declined (`success: false`), gateway_empty_response.
    """
    fields = _Fields(data, "the gateway", max_bytes)
    if fields.body.get("success") is False:
        raise api_error("gateway_declined")
    text = fields.text("response")
    fields.get("success", _is(bool), "true or false")
    persona = fields.get("persona", _is_persona, "an object with a name")
    sources = fields.get("sources", _is_list_of_strings, "a list of strings") or []
    timestamp = fields.get("timestamp", _is(str), "a string")
    return GatewayAnswer(text, persona, sources, timestamp, tuple(fields.warnings))


def cloud_request(message: str) -> dict[str, str]:
    """`{"message"}`."""
    return {"message": message}


def cloud_answer(data: bytes, *, max_bytes: int = MAX_BYTES) -> GatewayAnswer:
    """Parse either known form: `{"response", "model", …}` or `{"content", "persona_used", …}`.

    Raises ApiError: gateway_invalid_response, gateway_empty_response.
    """
    fields = _Fields(data, "Cloud AI", max_bytes)
    text = fields.text("response", "content")
    name = fields.get("persona_used", _is(str), "a string")
    timestamp = fields.get("timestamp", _is(str), "a string")
    return GatewayAnswer(text, {"name": name} if name else None, [], timestamp, tuple(fields.warnings))


class _Fields:
    """The fields of one answer. `warnings` lists those that were dropped or replaced."""

    def __init__(self, data: bytes, sender: str, max_bytes: int) -> None:
        self.warnings: list[str] = []
        self._sender = sender
        try:
            plain = decompress(data, max_bytes)
            if len(plain) > max_bytes:
                raise self._invalid(f"larger than {max_bytes} bytes")
            body = self._json(plain)
        except (ValueError, RecursionError):
            raise self._invalid("not JSON") from None
        if not isinstance(body, dict):
            raise self._invalid("not a JSON object")
        self.body: dict[str, Any] = body

    def text(self, *names: str) -> str:
        """The first of these fields that is a string; raises ApiError if there is none, or if it is blank."""
        found = next((self.body[name] for name in names if isinstance(self.body.get(name), str)), None)
        if found is None:
            raise self._invalid(f"field {' or '.join(f'`{name}`' for name in names)} is missing or not a string")
        if not found.strip():
            raise api_error("gateway_empty_response")
        return str(found)

    def get(self, name: str, allows: Callable[[Any], bool], expected: str) -> Any:  # noqa: ANN401 - the type that `allows` tests
        """The value of an optional field; None with a warning if it is not as expected."""
        value = self.body.get(name)
        if value is None or allows(value):
            return value
        self.warnings.append(f"{name}: expected {expected}")
        return None

    def _json(self, data: bytes) -> object:
        """Parse JSON, also with a byte order mark, NaN, a repeated key, or lone surrogates in any form."""
        text, may_have_surrogates = decode_utf8(data)
        value = json.loads(text, parse_constant=self._null, parse_float=self._float, parse_int=self._int)
        if not may_have_surrogates:
            return value
        written = json.dumps(value, ensure_ascii=False)
        clean = replace_surrogates(written)
        return value if written == clean else self._replaced(value, json.loads(clean))

    def _float(self, written: str) -> float | None:
        value = float(written)
        return value if math.isfinite(value) else self._null(written)

    def _int(self, written: str) -> int | None:
        return int(written) if len(written) <= MAX_DIGITS else self._null(written)

    def _null(self, _: str) -> Any:  # noqa: ANN401 - None, as a value
        if BAD_NUMBER not in self.warnings:
            self.warnings.append(BAD_NUMBER)
        return None

    def _replaced(self, before: object, after: object) -> object:
        """Add a warning for each field with a replaced surrogate. The name of an unknown field is not repeated."""
        if isinstance(before, dict) and isinstance(after, dict):
            named = [name for name in KNOWN if before.get(name) != after.get(name)] or ["an unknown field"]
            self.warnings.extend(f"{name}: {LONE_SURROGATE}" for name in named)
        return after

    def _invalid(self, reason: str) -> ApiError:
        return api_error("gateway_invalid_response", f"Invalid response from {self._sender}: {reason}.")


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _is_persona(value: object) -> bool:
    """Whether it is an object with a name, and not nested too deeply to be written again."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    try:
        check_depth(value)
    except ValueError:
        return False
    return True


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
