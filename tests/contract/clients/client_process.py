"""One client is asked everything, in a process of its own, and tells what it saw; a stage, staged once in a run.

The cast: a scripted gateway that echoes, and takes directions from the question itself, because a client that retries
asks again whenever it likes; a patient proxy with a key; a hasty proxy, whose streams begin before the gateway has
answered. Every client keeps its defaults: what its users get is what is judged.
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
from tests.contract.clients.client_list import Client

KEY = "sk-clients-3f1c"
MODEL = "lumen-gateway"
ALL_ACTS_S = 240.0  # ten seconds of imports and retries here; the backstop of the suite is 300 s
LATE_S = 0.5  # ten times the commit delay of the hasty proxy: its headers are out by then
# Longer than one piece of a stream (24 characters), so that pieces have to be joined.
SYLLABLES = "안녕하세요, 각 뷁 힣 그리고 여러 조각으로 나뉘는 한국어 문장입니다"
TEXTS = {
    "korean-nfc": unicodedata.normalize("NFC", SYLLABLES),
    "korean-nfd": unicodedata.normalize("NFD", SYLLABLES),
    "zwj-emoji": "가족 👩‍👩‍👧‍👦 우주인 👨🏽‍🚀 무지개 🏳️‍🌈 태극기 🇰🇷 그리고 다시 👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
}


class Raised(msgspec.Struct, frozen=True):
    """What a client raised: its class and those above it by their full names; empty or None what it has not.

    ``by`` is "program" where a program raised it that printed what the client gave it.
    """

    name: str = msgspec.field(name="class")
    ancestors: tuple[str, ...]
    status: int | None
    code: str | None
    message: str
    by: str = "client"


class Act(msgspec.Struct, frozen=True):
    """What came of one act: pieces of text in their order, facts by name, and what was raised after them."""

    pieces: tuple[str, ...]
    facts: dict[str, Any]
    error: Raised | None

    @property
    def text(self) -> str:
        """The pieces joined."""
        return "".join(self.pieces)


class Told(msgspec.Struct, frozen=True):
    """All that one client has told; ``asked`` is how often the gateway was asked each question.

    ``versions`` has the releases that were really loaded, by package.
    """

    versions: dict[str, str]
    acts: dict[str, Act]
    asked: dict[str, int] = msgspec.field(default_factory=dict)


def late(exchange: Exchange) -> None:
    """Break off after the stream has begun."""
    if exchange.hold(at_most_s=LATE_S):
        exchange.reset()


DIRECTIONS: dict[str, Reply] = {
    "@away": respond_with({"error": "away"}, 503, headers=(("Retry-After", "1"),)),
    "@lost": reset_after_request,
    "@lost-stream": reset_after_request,
    "@lost-once": reset_after_request,
    "@lost-once-stream": reset_after_request,
    "@late": late,
}


def directed(exchange: Exchange) -> None:
    """Do what the question says, or repeat it."""
    DIRECTIONS.get(exchange.call.message, echo)(exchange)


def ask_everything(client: Client, launch: Launcher, gateway: ScriptedGateway, folder: Path) -> Told:
    """Launch both proxies, run the client to its end, and read what it has written down.

    Raises RuntimeError when the client's own process fails: a script of ours is broken, or an installation is.
    """
    gateway.standing = directed
    never = {"PROXY_API_KEY": KEY, "LUMEN_BREAKER_FAILURES": "1000000"}
    ours = launch(gateway=gateway, env=never)
    hasty = launch(gateway=gateway, env={**never, "LUMEN_STREAM_COMMIT_S": "0.05", "LUMEN_SSE_KEEPALIVE_S": "0.1"})
    score, told = folder / "score.json", folder / "told.json"
    score.write_text(json.dumps({**_score(ours, hasty), "packages": client.packages}), "utf-8")
    done = launch.run(
        str(score), str(told), tool=client.argv(), foreign=True,
        env=environ_of(client, folder), gateway=gateway, within_s=ALL_ACTS_S,
    )  # fmt: skip
    if done.exit_status:
        raise RuntimeError(f"{' '.join(done.argv)} ended with {done.exit_status}\n{done.stdout}\n{done.stderr}")
    asked = Counter(call.message for call in gateway.chats)
    return msgspec.structs.replace(msgspec.json.decode(told.read_bytes(), type=Told), asked=dict(asked))


def _score(ours: LaunchedTarget, hasty: LaunchedTarget) -> dict[str, object]:
    return {"url": f"{ours.url}/v1", "hasty_url": f"{hasty.url}/v1", "key": KEY, "model": MODEL, "texts": TEXTS}


def environ_of(client: Client, folder: Path) -> dict[str, str | None]:
    """Nothing of the developer's own accounts, no telemetry. Node has no guard: loopback is all it is told of."""
    theirs = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "LLM_MODEL", "NODE_OPTIONS")
    return {
        **dict.fromkeys(theirs),
        # The guard of the suite stays first.
        "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], *client.folders]),
        "HOME": str(folder / "home"),
        "LLM_USER_PATH": str(folder / "llm"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGSMITH_TRACING": "false",
        "PYTHONUTF8": "1" if sys.platform == "win32" else None,
    }
