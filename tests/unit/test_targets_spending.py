"""By URL the suite may be spending somebody's money: what it says it will cost is an upper bound, of one model only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.fixtures.exchange import Call
from tests.fixtures.gateway import Gateway
from tests.fixtures.outer import Run, run
from tests.fixtures.served import CHAT

MODEL = "a-model-that-costs"
CHOICES = 10  # more answers than any check asks for at once without --proxy-load
SELECTIONS = {
    "openai": ("-m", "contract"),
    "lumen": ("-m", "contract", "--proxy-profile=lumen", "--proxy-can=health,n"),
    "with-a-key": ("-m", "contract", "--proxy-api-key=k", "--proxy-can=auth"),
    "refused-before": ("-k", "test_refused_before"),
    "known": ("-k", "C8 or E1 or F3.no-key"),
    "in-parallel": ("-k", "C8 or E1 or F3.no-key", "-n2"),
}


def spent(folder: Path, *options: str) -> tuple[Run, list[Call]]:
    """A run against a server that records, and the chat calls that it was asked for."""
    with Gateway() as server:
        named = (f"--proxy-url={server.url}/v1", f"--proxy-model={MODEL}", "--proxy-health-path=none", "-q")
        can = () if any("--proxy-can" in word for word in options) else ("--proxy-can=models,n,tools",)
        ended = run(folder, *named, *can, *options)
        return ended, [call for call in server.calls if call.path.startswith(CHAT) and call.method == "POST"]


def body_of(call: Call) -> dict[str, object]:
    """The fields of a call; none of what is no object."""
    try:
        body = call.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


@pytest.mark.parametrize("name", SELECTIONS)
def test_no_more_than_was_said(name: str, tmp_path: Path) -> None:
    """No selection makes more chat calls than were printed before the first, nor many choices, nor of another model."""
    ended, calls = spent(tmp_path, *SELECTIONS[name])
    said = re.search(r"by URL: at most (\d+) chat calls of a-model-that-costs at", ended.output)
    assert said, ended.output
    assert ended.output.count("by URL: at most") == 1
    assert 0 < len(calls) <= int(said[1])
    named = {json.dumps(body["model"]) for call in calls if "model" in (body := body_of(call))}
    assert named <= {json.dumps(MODEL), "1", "null"}  # of F2.model-number and H4.no-model: no name at all
    numbers = [body.get("n") for call in calls if (body := body_of(call))]
    assert all(number < CHOICES for number in numbers if type(number) is int)
