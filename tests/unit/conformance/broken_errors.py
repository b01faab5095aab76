"""Errors and failing streams with one defect each, and the checks that must fail."""

from __future__ import annotations

from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.samples import ABSENT, ERROR, chunk, chunks, edited, framed

Defect = tuple[Capture, set[str]]

REFUSALS: dict[str, Defect] = {
    "html-C65": (s.error(b"<html>Not Found</html>", media_type="text/html"), {"B1.5", "F1.1"}),
    "plain-text-500-C59": (
        s.error(b"Internal Server Error", 500, "text/plain"),
        {"B1.5", "F1.1", "F2-status"},
    ),
    "fastapi-detail-C60": (s.error({"detail": "Not Found"}), {"F1.2"}),
    "flat-C61": (s.error(ERROR["error"]), {"F1.2"}),
    "no-body": (s.error(b""), {"F1.8"}),
    "cut-before-a-body": (s.late(s.error(b""), ended="aborted"), {"F1.6"}),
    "cut-short": (s.late(s.error(), ended="aborted"), {"F1.6"}),
    "error-as-text": (s.error({"error": "no"}), {"F1.2"}),
    "no-answer-in-time": (s.late(s.error(b""), status=None, ended="timeout"), {"F2-status", "F4"}),
    "blank-message": (s.error(edited(ERROR, ("error.message", " "))), {"F1.9"}),
    "null-message": (s.error(edited(ERROR, ("error.message", None))), {"F1.9"}),
    "message-absent": (s.error(edited(ERROR, ("error.message", ABSENT))), {"F1.9"}),
    "object-as-message": (s.error(edited(ERROR, ("error.message", {"en": "no"}))), {"F1.3"}),
    "integer-code": (s.error(edited(ERROR, ("error.code", 400))), {"F1.7"}),
    "no-param": (s.error(edited(ERROR, ("error.param", ABSENT))), {"F1.4"}),
    "the-word-none-C64": (s.error(edited(ERROR, ("error.code", "None"))), {"F1.5"}),
    "status-200-C67": (s.error(status=200), {"F2-status", "F4"}),
    "status-500-C77": (s.error(status=500), {"F2-status"}),
    "stream-type": (s.error(media_type="text/event-stream"), {"F1.1", "F4"}),
    "traceback-C75": (
        s.error(edited(ERROR, ("error.message", "Traceback (most recent call last)"))),
        {"F6.1"},
    ),
    "file-path-C75": (s.error(edited(ERROR, ("error.message", "no /home/lumen/config"))), {"F6.2"}),
    "windows-path": (s.error(edited(ERROR, ("error.message", r"no C:\Users\lumen"))), {"F6.2"}),
    "gateway-address": (s.error(edited(ERROR, ("error.message", "gateway.example:443 refused"))), {"F6.3"}),
    "key-C75": (s.error(edited(ERROR, ("error.message", "wrong key sk-hush-hush"))), {"F6.4"}),
}

PARTIAL = chunks()[:3]
BREAKS: dict[str, Defect] = {
    "swallowed-C69": (s.stream(PARTIAL), {"F5.3"}),
    "never-ends": (s.late(s.stream(framed(PARTIAL)[:-14]), ended="timeout"), {"F5.1"}),
    "finished-with-stop-R22": (s.stream([*PARTIAL, chunk({}, "stop"), ERROR]), {"F5.2"}),
    "flat-error-event": (
        s.stream(framed(PARTIAL) + b"event: error\ndata: " + s.encoded(ERROR["error"]) + b"\n\n"),
        {"D1.3", "F5.3"},
    ),
    "error-then-cut": (s.late(s.stream([*PARTIAL, ERROR, PARTIAL[-1]]), ended="aborted"), {"F5.1"}),
    "error-not-last": (s.stream([*PARTIAL, ERROR, PARTIAL[-1]]), {"F5.1"}),
}
