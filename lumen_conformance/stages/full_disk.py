"""Fill a small log of our own proxy, then the disk; kill its worker there; then make space again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.stages import resources
from lumen_conformance.stages.descriptors import ANSWER_S
from lumen_conformance.stages.observations import describe_response, read_text
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import observe

MAX_BYTES, KEEP = 1024, 2  # the smallest log
REQUESTS = 40  # lines of about 200 bytes: more than twice what the files of a log may have
LINES_S = 10.0  # a line is written within 0.2 s
SMALL_LOG = {"LUMEN_LOG_MAX_BYTES": str(MAX_BYTES), "LUMEN_LOG_KEEP": str(KEEP), "LUMEN_LOG_LEVEL": "info"}


@dataclass(frozen=True)
class DiskEvidence(StageStep):
    """The evidence: a log at its limits, what was served on a full disk, and the log when there is space again."""

    sizes: dict[str, int]
    newest_kept: bool
    chats: tuple[str, ...]
    is_same_worker: bool
    after_kill: str
    was_replaced: bool
    lost: float
    resumed: bool


def fill_disk(launch: Launcher, gateway: ScriptedGateway) -> DiskEvidence:
    """Fill a small log, then the disk; kill the worker there; then make space again."""
    resources.need_limits()
    proxy = launch(gateway=gateway, env=SMALL_LOG)
    folder, worker = proxy.journal.folder, proxy.worker()
    with proxy.connection() as connection:
        for number in range(REQUESTS):
            connection.call("GET", "/v1/models", headers=[("x-request-id", f"request-{number:02d}")])
    newest_kept = sees(folder, f"request-{REQUESTS - 1:02d}")
    sizes = resources.list_sizes(folder)
    resources.limit_files(proxy.processes(), 0)
    first, lost = describe_chat(proxy, "첫 질문"), read_lost(proxy)  # by then the line of the first was not written
    chats = (first, describe_chat(proxy, "둘째 질문"))
    is_same = proxy.health().pid == worker.pid
    worker.kill()
    after_kill = describe_chat(proxy, "다시 왔어요")
    replaced = proxy.health().pid not in {0, worker.pid}
    read_lost(proxy)  # by then the line of that chat was not written
    resources.unlimit_files(proxy.processes())
    proxy.call("GET", "/v1/models", headers=[("x-request-id", "request-resumed")])
    return DiskEvidence(sizes, newest_kept, chats, is_same, after_kill, replaced, lost, sees(folder, "request-resumed"))


def sees(folder: Path, text: str) -> bool:
    """Wait for a line with this text in any log."""
    return bool(
        observe("a log has it", lambda: any(text in read(log) for log in folder.glob("*.jsonl*")), within_s=LINES_S)
    )


def read(file: Path) -> str:
    """Return the text of a log; a file that was just renamed has none."""
    try:
        return file.read_text("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return ""


def describe_chat(proxy: LaunchedTarget, question: str) -> str:
    """Return an empty text when the question is answered with its text, else what came."""
    chat = proxy.chat(question, timeout_s=ANSWER_S)
    return "" if chat.status == 200 and question in read_text(chat) else describe_response(chat)


def read_lost(proxy: LaunchedTarget) -> float:
    """Return how many lines could not be written, by /metrics: when it is above 0, or in the end."""

    def lost() -> float:
        lines = proxy.call("GET", "/metrics").text.splitlines()
        values = (line.rpartition(" ")[2] for line in lines if line.startswith("lumen_log_lost "))
        return float(next(values, "0"))

    return observe("a lost line is counted", lost, within_s=LINES_S) or 0.0
