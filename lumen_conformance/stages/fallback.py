"""A gateway that fails, and Cloud AI as the fallback of the proxy: one chat in each state of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lumen_conformance.gateway.replies import cloud_echo, echo, reset_after_request
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.stages.outages import ChatAnswer
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher


@dataclass(frozen=True)
class FallbackEvidence(StageStep):
    """The evidence: chats while the gateway refuses, while it resets what it has read, and when it works again."""

    refused: ChatAnswer
    written: ChatAnswer
    read_by_gateway: int
    asked_after_write: int
    back: ChatAnswer


def ask_with_fallback(launch: Launcher, gateway: ScriptedGateway, settings: Mapping[str, str]) -> FallbackEvidence:
    """Give the proxy Cloud AI as a fallback; send one chat in each state of the gateway."""
    with ScriptedGateway(cloud_echo) as cloud:
        address = {"LUMEN_FALLBACK": "cloud_ai", "CLOUD_AI_URL": f"{cloud.url}/chat"}
        proxy = launch(gateway=gateway, env={**address, **settings})
        gateway.down()
        refused = ChatAnswer.of(proxy.chat("첫 질문"))
        gateway.up()
        gateway.standing, asked = reset_after_request, len(cloud.calls)
        written = ChatAnswer.of(proxy.chat("둘째 질문"))
        read, asked_after_write = len(gateway.chats), len(cloud.calls) - asked
        gateway.standing = echo
        return FallbackEvidence(refused, written, read, asked_after_write, ChatAnswer.of(proxy.chat("셋째 질문")))
