"""A target that ends by itself: the check that asked it last says so, as tier M, and the others get a new launch.

Without this each later check would be judged by a connection that is refused, and the cause would be told nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lumen_conformance.contract.session import Talk
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import WITNESS
from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted
from lumen_conformance.targets.endpoint import PROBE_S, Endpoint
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.targets.readiness import NeverReady
from lumen_conformance.waiting import WaitError, observe

MOST_AGAIN = 10  # launches of one target: who ends that often has shown it, and a large server starts for a minute
CUT = frozenset(("aborted", "refused", "reset"))  # how an exchange ends when its server does
ENDED_S = 0.3  # within which a process that has cut its connections has ended: a few milliseconds, a hundred times that


@dataclass
class _Kept:
    """A talk, how its target is launched again (None: it runs elsewhere), and how often it was."""

    talk: Talk
    launch: Callable[[], Endpoint] | None
    times: int = 0


@dataclass
class Survival:
    """What is known of the targets of this process.

    ``ended``  in which check, and how, the last one has ended; empty: it runs
    """

    kept: list[_Kept] = field(default_factory=list)
    ended: str = ""
    because_of: tuple[str, ...] = ()

    def keep(self, talk: Talk, launch: Callable[[], Endpoint] | None = None) -> Talk:
        """Watch this talk from now on."""
        self.kept.append(_Kept(talk, launch))
        return talk

    def launched(self, launch: Callable[[], LaunchedTarget], gateway: ScriptedGateway) -> Talk:
        """A talk with a new launch, which is watched."""
        return self.keep(Talk(launch(), gateway), launch)

    def look(self, item: pytest.Item) -> None:
        """Raise `Refuted` when a target has ended since the last look."""
        if self.ended:
            return
        for kept in self.kept:
            if how := how_ended(kept.talk.proxy):
                found = check_of(item)
                self.ended, self.because_of = f"{item.name}: {how}", (found.id,) if found else ()
                raise Refuted(_told(kept.talk.proxy, how))

    def sees_end(self) -> bool:
        """Whether a target has ended since the last look."""
        return not self.ended and any(how_ended(kept.talk.proxy) for kept in self.kept)

    def again(self) -> None:
        """Launch again what has ended; raises `NotJudged` where that cannot be done."""
        if not self.ended:
            return
        for kept in self.kept:
            if is_gone(kept.talk.proxy):
                self._launch(kept)
        self.ended = ""

    def _launch(self, kept: _Kept) -> None:
        kept.times += 1
        if kept.launch is None or kept.times > MOST_AGAIN:
            raise NotJudged(f"the server is gone since {self.ended}", self.because_of)
        try:
            kept.talk.proxy = kept.launch()
        except (WaitError, NeverReady, OSError) as error:
            kept.times = MOST_AGAIN
            raise NotJudged(
                f"the server does not start again: {str(error).splitlines()[0]}; it is gone since {self.ended}",
                self.because_of,
            ) from None
        kept.talk.made = {name: made for name, made in kept.talk.made.items() if made.ended != "refused"}


SURVIVAL = pytest.StashKey[Survival]()


def survival_of(config: pytest.Config) -> Survival:
    """What is known in this process."""
    return config.stash.setdefault(SURVIVAL, Survival())


@contextmanager
def watched(item: pytest.Item) -> Iterator[None]:
    """Around the call of a test: raises `Refuted` when a target ends in it, or has ended while it was set up."""
    survival = survival_of(item.config)
    survival.look(item)
    try:
        yield
    finally:
        survival.look(item)


def how_ended(proxy: Endpoint) -> str:
    """How a target has ended by itself, after an exchange that was cut; empty while it runs."""
    last = WITNESS.last
    cut = last is not None and last.ended in CUT
    if isinstance(proxy, LaunchedTarget):
        status = proxy.observe_exit(ENDED_S) if cut else proxy.exit_status()
        return "" if status is None else f"the server ended by itself, with exit status {status}"
    return f"the server is gone: nobody listens at {proxy.url}" if cut and is_gone(proxy) else ""


def is_gone(proxy: Endpoint) -> bool:
    """Whether nobody is there any more."""
    if isinstance(proxy, LaunchedTarget):
        return proxy.exit_status() is not None
    last, ends = WITNESS.last, [""]

    def is_decided() -> bool:
        ends[:] = [proxy.call("GET", proxy.target.probe_path, timeout_s=PROBE_S).ended]
        return ends[0] in {"complete", "refused"}

    observe("it answers or refuses", is_decided, within_s=ENDED_S)
    WITNESS.last = last  # no test has asked this
    return ends == ["refused"]


def _told(proxy: Endpoint, how: str) -> Failure:
    log, last = proxy.last_line() if isinstance(proxy, LaunchedTarget) else "", WITNESS.last
    return Failure(
        "a server that runs until it is stopped",
        f"{how}, while it was asked this or since the check before",
        at=log and f"end of its log: {log}",
        curl=last.curl() if last else "",
        tier="M",
    )
