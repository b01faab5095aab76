"""The plan of a soak test: which disturbance comes when. The same seed gives the same plan.

There are two plans, which run at the same time: one for the processes of the proxy, and one for the gateway and the
number of clients. So a worker is also killed while the gateway does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

_PROCESSES: Final = {
    "worker killed": 8,
    "worker crashed": 3,
    "standby killed": 3,
    "worker hangs": 2,
    "processes suspended": 2,
    "restart": 2,
    "stop and start": 1,
    "supervisor killed": 1,
    "all processes killed": 1,
}
_GATEWAY: Final = {
    "gateway silent": 2,
    "gateway slow": 2,
    "gateway answers 500": 2,
    "gateway resets": 2,
    "gateway sends garbage": 1,
    "gateway down": 2,
    "more clients": 2,
}
WEIGHTS: Final[Mapping[str, Mapping[str, int]]] = {"processes": _PROCESSES, "gateway": _GATEWAY}
"""Part of the plan → disturbance → how often it comes, compared with the others."""
LONGEST_PAUSE_S: Final = {"processes": 2.0, "gateway": 10.0}
"""Between two disturbances. After a fault of the gateway 3 s pass until all is well: half of the time has no fault."""
SHORTEST_PAUSE_S: Final = 0.2
SHORTEST_S: Final = 0.1
LONGEST_S: Final = 2.0  # longer than the watchdog of the soak test allows a silence


@dataclass(frozen=True)
class PlannedStep:
    """One disturbance: its name, the pause before it, and how long it lasts if it lasts."""

    name: str
    pause_s: float
    length_s: float


def steps(part: str, seed: str) -> Iterator[PlannedStep]:
    """Yield the steps of one plan, ``processes`` or ``gateway``, without end."""
    random, weights = Random(f"{seed}-{part}"), WEIGHTS[part]
    while True:
        (name,) = random.choices(list(weights), list(weights.values()))
        yield PlannedStep(
            name, random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S[part]), random.uniform(SHORTEST_S, LONGEST_S)
        )
