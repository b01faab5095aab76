"""Nothing of the developer's shell reaches the tests, and nothing of the tests reaches the network.

Cloud addresses point at a port of this machine where nobody ever listens; a connect beyond loopback, by pytest or by
any Python child, is blocked, and the test during which it happened is an ERROR. So is one that starts a Python
without the guard.
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
FOREIGN_PREFIXES = ("PROXY_", "LUMEN_", "CLOUD_AI_", "SLACK_")  # settings of the developer's own proxy


class BeyondLoopback(Exception):  # noqa: N818 -- reads as what happened
    """Something tried to leave this machine while a test ran, or a Python was started where no guard would see it."""


@dataclass
class Guard:
    """What the guards of this worker have written down, and how far it was read."""

    run: Run
    dead_url: str
    _read: int = 0

    def news(self) -> list[dict[str, object]]:
        """What was blocked since the last call."""
        try:
            with self.run.guard_file.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]  # a child may be in the middle of its line
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def check(self) -> None:
        """Raise `BeyondLoopback` for what was blocked since the last call."""
        if news := self.news():
            lines = [f"{one['event']} {one['target']} by pid {one['pid']} {one['argv']}" for one in news]
            raise BeyondLoopback("written down by the guard: " + "; ".join(dict.fromkeys(lines)))


GUARD = pytest.StashKey[Guard]()
_STACK = pytest.StashKey[ExitStack]()
_installed = False


def clean(environ: MutableMapping[str, str], dead_url: str) -> None:
    """Take the developer's settings out of an environment and put in what every child must have."""
    for name in list(environ):
        if name.upper().startswith(FOREIGN_PREFIXES) or name.upper().endswith("_PROXY"):
            del environ[name]
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each launch compiles the target anew, for half a second
    environ.update(dict.fromkeys(CLOUD_VARIABLES, dead_url))
    environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a price list when it is imported
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path and Path(path) != INJECT]
    environ["PYTHONPATH"] = os.pathsep.join([str(INJECT), *paths])


@pytest.hookimpl(trylast=True)  # after pytest has made its temporary folder
def pytest_configure(config: pytest.Config) -> None:
    """Clean the environment and start watching, before anything else of the suite runs."""
    global _installed  # noqa: PLW0603 -- audit hooks cannot be removed, so there must be one only
    run, stack = run_of(config), ExitStack()
    before = dict(os.environ)
    stack.callback(os.environ.update, before)
    stack.callback(os.environ.clear)
    dead_url = stack.enter_context(_dead_address())
    clean(os.environ, dead_url)
    if not is_controller(config):  # or the xdist workers themselves would look like something that a test left behind
        _handle_ignored_signals()
        os.environ |= {TAG: run.tag(), lumen_guard.FILE: str(run.guard_file)}
    if not _installed:
        lumen_guard.install()
        _installed = True
    if url := config.getoption("proxy_url", None):
        allowed = {parse_address(parse_origin(url))}
        stack.callback(lumen_guard.ALLOWED.difference_update, allowed - lumen_guard.ALLOWED)
        lumen_guard.ALLOWED |= allowed
    config.stash[GUARD], config.stash[_STACK] = Guard(run, dead_url), stack


def _handle_ignored_signals() -> None:
    """Handle by nothing what this process ignores: children inherit that a signal is ignored, but not a handler.

    nohup ignores SIGHUP. A shell without job control ignores SIGINT and SIGQUIT for each command that ends with ``&``
    (POSIX.1-2017, Shell Command Language, 2.11).
    """
    for name in ("SIGHUP", "SIGINT", "SIGQUIT"):
        number = getattr(signal, name, None)  # Windows has SIGINT alone
        if number and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the environment back, for a pytest inside this process."""
    if stack := config.stash.get(_STACK, None):
        stack.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """A test during which something tried to leave this machine is an ERROR."""
    try:
        yield
    finally:
        item.config.stash[GUARD].check()


@contextmanager
def _dead_address() -> Iterator[str]:
    """An address that refuses at once: its port is ours, and we never listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
