"""Runs all acts of a client in its own process and returns the record; a stage, which runs once in a test run.

A scripted gateway echoes the question, or fails if the question says so: a client decides itself when it retries, so
replies cannot be scripted in advance. One proxy has a key, the other also starts streams before the gateway answers.
Every client has its default settings.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import echo, reset_after_request, respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.targets.launch import LaunchedTarget, Launcher

from .client_list import Client

KEY = "sk-clients-3f1c"
MODEL = "lumen-gateway"
ALL_ACTS_S = 240.0  # imports and retries take ten seconds; the test timeout is 300 s
LATE_S = 0.5  # ten times the commit delay of the proxy with early streams: it has sent the headers by then
# Longer than one piece of a stream (24 characters), so that the client must join pieces.
SYLLABLES = "안녕하세요, 각 뷁 힣 그리고 여러 조각으로 나뉘는 한국어 문장입니다"
TEXTS = {
    "korean-nfc": unicodedata.normalize("NFC", SYLLABLES),
    "korean-nfd": unicodedata.normalize("NFD", SYLLABLES),
    "zwj-emoji": "가족 👩‍👩‍👧‍👦 우주인 👨🏽‍🚀 무지개 🏳️‍🌈 태극기 🇰🇷 그리고 다시 👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
}


class Raised(msgspec.Struct, frozen=True):
    """An exception: its class and base classes by their full names, and its status and code, if any.

    ``by`` is "program" when printing the text of the client raised it.
    """

    name: str = msgspec.field(name="class")
    ancestors: tuple[str, ...]
    status: int | None
    code: str | None
    message: str
    by: str = "client"


class Act(msgspec.Struct, frozen=True):
    """The record of one act: pieces of text in order, other fields by name, and the exception after them."""

    pieces: tuple[str, ...]
    fields: dict[str, Any]
    error: Raised | None

    @property
    def text(self) -> str:
        """The pieces joined."""
        return "".join(self.pieces)


class ClientRecord(msgspec.Struct, frozen=True):
    """The record of a client: the loaded releases by package, the acts by name.

    ``asked`` is the number of requests to the gateway for each question.
    """

    versions: dict[str, str]
    acts: dict[str, Act]
    asked: dict[str, int] = msgspec.field(default_factory=dict)


def fail_late(exchange: Exchange) -> None:
    """Reset the connection after the stream has started."""
    if exchange.hold(at_most_s=LATE_S):
        exchange.reset()


DIRECTED_REPLIES: dict[str, Reply] = {
    "@away": respond_with({"error": "away"}, 503, headers=(("Retry-After", "1"),)),
    "@lost": reset_after_request,
    "@lost-stream": reset_after_request,
    "@lost-once": reset_after_request,
    "@lost-once-stream": reset_after_request,
    "@late": fail_late,
}


def follow_direction(exchange: Exchange) -> None:
    """Reply as the question says, or echo it."""
    DIRECTED_REPLIES.get(exchange.call.message, echo)(exchange)


def run_client(client: Client, launch: Launcher, gateway: ScriptedGateway, folder: Path) -> ClientRecord:
    """Launch both proxies, run the client, and read its record.

    Raises RuntimeError when the process of the client fails: its script or its installation is broken.
    """
    gateway.standing = follow_direction
    env = {"PROXY_API_KEY": KEY, "LUMEN_BREAKER_FAILURES": "1000000"}  # the breaker stays closed
    proxy = launch(gateway=gateway, env=env)
    early = launch(gateway=gateway, env={**env, "LUMEN_STREAM_COMMIT_S": "0.05", "LUMEN_SSE_KEEPALIVE_S": "0.1"})
    instructions, record = folder / "instructions.json", folder / "record.json"
    instructions.write_text(json.dumps({**_instructions(proxy, early), "packages": client.packages}), "utf-8")
    done = launch.run(
        str(instructions), str(record), tool=client.argv(), foreign=True,
        env=client_environ(client, folder), gateway=gateway, within_s=ALL_ACTS_S,
    )  # fmt: skip
    if done.exit_status:
        raise RuntimeError(f"{' '.join(done.argv)} ended with {done.exit_status}\n{done.stdout}\n{done.stderr}")
    asked = Counter(call.message for call in gateway.chats)
    return msgspec.structs.replace(msgspec.json.decode(record.read_bytes(), type=ClientRecord), asked=dict(asked))


def _instructions(proxy: LaunchedTarget, early: LaunchedTarget) -> dict[str, object]:
    return {"url": f"{proxy.url}/v1", "early_stream_url": f"{early.url}/v1", "key": KEY, "model": MODEL, "texts": TEXTS}


def client_environ(client: Client, folder: Path) -> dict[str, str | None]:
    """The environment of a client: no accounts of the developer, no telemetry. Node gets only loopback addresses."""
    accounts = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "LLM_MODEL", "NODE_OPTIONS")
    return {
        **dict.fromkeys(accounts),
        # The network guard of the suite comes first.
        "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], *client.folders]),
        "HOME": str(folder / "home"),
        "LLM_USER_PATH": str(folder / "llm"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGSMITH_TRACING": "false",
        "PYTHONUTF8": "1" if sys.platform == "win32" else None,
    }
