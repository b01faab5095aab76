"""Both sides of a handover, as the loop of a supervisor sees them: see `offer` and `predecessor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_proxy.supervisor.offer import Commit, Left, OfferEvent, TakeOver

if TYPE_CHECKING:
    from lumen_proxy.supervisor.context import SupervisorContext
    from lumen_proxy.supervisor.reporter import Reporter


class Handover:
    """The handover from an old supervisor to this one, and that from this one to a new one."""

    def __init__(self, context: SupervisorContext, reporter: Reporter) -> None:
        self._context = context
        self._reporter = reporter
        self._old = context.predecessor

    @property
    def is_pending(self) -> bool:
        """Whether the old supervisor still owns the port that this one takes over."""
        return self._old is not None

    def take(self) -> bool:
        """Own the port, if an old supervisor had it; False if that one is stopped, so that this one must not serve."""
        return self._old is None or self._old.commit()

    def settle(self) -> None:
        """The state file is that of this instance: the old supervisor is not needed any more."""
        if self._old is not None:
            self._context.offer.open()  # first: the end of the connection lets another restart begin
            self._old.close()
            self._old = None

    def handle(self, event: OfferEvent, *, is_ending: bool) -> bool:
        """Handle what a new supervisor asks; True if it has the port now. Nothing is given if this one ends."""
        offer = self._context.offer
        match event:
            case TakeOver(successor) if is_ending:
                offer.refuse(successor)
            case TakeOver(successor):
                offer.give(successor)
            case Commit(successor) if offer.has_given(successor) and not is_ending:  # else it knows of the end
                self._reporter.report_handover(successor.instance, successor.pid)
                offer.release(successor)
                return True
            case Left(successor) if offer.forget(successor):
                self._context.notify(f"the new proxy (pid {successor.pid}) has failed; this one keeps serving")
        return False
