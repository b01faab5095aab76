"""Isolate the tests from the environment of the caller and from the network.

Cloud addresses point to a local port on which nobody listens. The guard blocks connections beyond loopback, of pytest
and of every Python child process. A test that tries such a connection ends with an ERROR, and so does a test that
starts a Python process without the guard.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.inject import lumen_guard
from lumen_conformance.run import TAG, Run, is_controller, run_of
from lumen_conformance.targets.parsers import parse_address, parse_origin

INJECT = Path(lumen_guard.__file__).parent
CLOUD_VARIABLES = ("LUMEN_GATEWAY_URL", "CLOUD_AI_URL")
FOREIGN_PREFIXES = ("PROXY_", "LUMEN_", "CLOUD_AI_", "SLACK_")  # settings of a proxy of the caller


class IsolationError(Exception):
    """A process of the test tried to connect beyond this machine, or started Python without the guard."""


@dataclass
class GuardLog:
    """The file of the guards of this worker, and the offset up to which it is read."""

    run: Run
    dead_url: str
    _read: int = 0

    def read_new(self) -> list[dict[str, object]]:
        """Return what the guards have recorded since the last call."""
        try:
            with self.run.guard_file.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]  # a child process may not have written the whole last line
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def check(self) -> None:
        """Raise `IsolationError` if the guards have recorded something since the last call."""
        if events := self.read_new():
            lines = [f"{each['event']} {each['target']} by pid {each['pid']} {each['argv']}" for each in events]
            raise IsolationError("recorded by the guard: " + "; ".join(dict.fromkeys(lines)))


GUARD = pytest.StashKey[GuardLog]()
_STACK = pytest.StashKey[ExitStack]()
_installed = False


def clean(environ: MutableMapping[str, str], dead_url: str) -> None:
    """Remove the settings of the caller from an environment, and add what each child process needs."""
    for name in list(environ):
        if name.upper().startswith(FOREIGN_PREFIXES) or name.upper().endswith("_PROXY"):
            del environ[name]
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each launch would compile the target, for 0.5 s
    environ.update(dict.fromkeys(CLOUD_VARIABLES, dead_url))
    environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # without it, LiteLLM downloads a price list when it is imported
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path and Path(path) != INJECT]
    environ["PYTHONPATH"] = os.pathsep.join([str(INJECT), *paths])


def configure(config: pytest.Config) -> None:
    """Clean the environment and install the guard."""
    global _installed  # noqa: PLW0603 -- audit hooks cannot be removed, so there is one only
    run, stack = run_of(config), ExitStack()
    before = dict(os.environ)
    stack.callback(os.environ.update, before)
    stack.callback(os.environ.clear)
    dead_url = stack.enter_context(_dead_address())
    clean(os.environ, dead_url)
    if not is_controller(config):  # with a tag, the xdist workers would count as leaks
        _handle_ignored_signals()
        os.environ |= {TAG: run.tag(), lumen_guard.FILE: str(run.guard_file)}
    if not _installed:
        lumen_guard.install()
        _installed = True
    if url := config.getoption("proxy_url", None):
        allowed = {parse_address(parse_origin(url))}
        stack.callback(lumen_guard.ALLOWED.difference_update, allowed - lumen_guard.ALLOWED)
        lumen_guard.ALLOWED |= allowed
    config.stash[GUARD], config.stash[_STACK] = GuardLog(run, dead_url), stack


def _handle_ignored_signals() -> None:
    """Replace ignored signals by a handler that does nothing: children inherit ignored signals, but no handlers.

    nohup ignores SIGHUP. A shell without job control ignores SIGINT and SIGQUIT for each command that ends with ``&``
    (POSIX.1-2017, Shell Command Language, 2.11).
    """
    for name in ("SIGHUP", "SIGINT", "SIGQUIT"):
        number = getattr(signal, name, None)  # Windows has only SIGINT
        if number and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def restore(config: pytest.Config) -> None:
    """Restore the environment, for a program that calls pytest in its own process."""
    if stack := config.stash.get(_STACK, None):
        stack.close()


def check(item: pytest.Item) -> None:
    """Raise `IsolationError` if the guards have recorded something during this test."""
    item.config.stash[GUARD].check()


@contextmanager
def _dead_address() -> Iterator[str]:
    """Yield an address that refuses connections at once: its port is bound, and no socket listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
