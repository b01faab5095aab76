"""Answers to several clients that are mixed."""

from __future__ import annotations

import threading
from http.client import HTTPConnection, HTTPResponse
from itertools import zip_longest

from edits import Json, in_answers

from tests.fixtures.faults.edits import in_chats
from tests.fixtures.faults.reference import forwarder
from tests.fixtures.faults.reference.http import Request, Response
from tests.fixtures.faults.reference.steps import Steps

CROWDED = "x-defect-crowded"


def mix_at_once() -> Steps:
    """A plain answer to one of several clients at the same time has words of another answer between its own."""
    lock, waiting, last = threading.Lock(), [0], [""]

    def forward(connection: HTTPConnection, request: Request) -> HTTPResponse:
        with lock:
            waiting[0] += 1
            if waiting[0] > 1:
                request.headers.append((CROWDED, "yes"))
        try:
            return forwarder.forward(connection, request)
        finally:
            with lock:
                waiting[0] -= 1

    def edit(request: Request, sent: Response) -> None:
        def mix(answer: Json) -> None:
            message = answer["choices"][0]["message"]
            own, other = message["content"], last[0]
            last[0] = own
            if request.header(CROWDED):
                words = zip_longest(own.split(), other.split(), fillvalue="")
                message["content"] = " ".join(word for pair in words for word in pair)

        in_answers(mix).response(request, sent)

    return Steps(forward=forward, response=in_chats(edit).response)
