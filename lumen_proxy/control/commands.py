"""The command that makes a running proxy use what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_proxy.known_issues import selectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import Seen
    from lumen_proxy.supervisor.recorded_settings import Difference

UNSET = "(none)"


def restart(differences: Sequence[Difference], settings: Settings) -> str:
    """A restart with the options of all differences. What only a variable can tell is set first."""
    options = [difference.option for difference in differences if difference.option]
    variables = [difference for difference in differences if '"$' in (difference.option or '"$')]
    if any(difference.asked == UNSET for difference in variables):  # a restart would keep it, or refuse
        return anew(settings)
    words = " ".join([f"lumen-proxy restart{selectors(settings)}", *options])
    names = ", ".join(difference.variable for difference in variables)
    return f"set {names}, then: {words}" if names else words


def anew(settings: Settings) -> str:
    """The two commands that use nothing of what ran before."""
    return f"lumen-proxy stop{selectors(settings)}, then lumen-proxy start{selectors(settings)}"


def again(seen: Seen, settings: Settings) -> str:
    """What helps where an instance of ours does not answer: a restart needs its settings."""
    return f"lumen-proxy restart{selectors(settings)}" if seen.gateway else anew(settings)
