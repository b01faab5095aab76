"""Run a function in a daemon thread and wait for its result with a limit."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def start(function: Callable[[], T], name: str) -> Future[T]:
    """Start a thread of this name; the Future gets its result or exception. Raises RuntimeError if none can be started.

    An executor does not fit: at the end of the process it waits for its threads.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again by `Future.result`
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def is_done(future: Future[T], within_s: float) -> bool:
    """Wait at most this long for the end of the function."""
    return bool(wait([future], within_s).done)
