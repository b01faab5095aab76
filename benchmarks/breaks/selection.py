"""Which faults a client can see on the wire, and what the clients are asked to do at each."""

from __future__ import annotations

from dataclasses import dataclass

from breaks.probes import PROBES
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import Fault
from tests.fixtures.faults.healthy import VARIANTS

CHAT = ("plain", "stream", "usage", "helper")
STREAMS = ("stream", "usage", "helper")
REFUSALS = ("refused", "refused-stream", "wrong-url", "wrong-key", "unknown-model")
TOOLS = ("tools", "tools-stream")
FORMATS = ("json", "parse", "parse-stream")
SENT = ("plain", "stream", "usage", "limited", "instructed", "parts")  # what a client makes of a plain question
# The longest prefix of a check's id → acts. Checks of another prefix are about harm that no client can report (G), or
# about who may ask (H5, F6).
ACTS: dict[str, tuple[str, ...]] = {
    "B": ("plain", "stream"),
    "B1.4": ("plain", "stream", "turn"),
    "B2.1": (*CHAT, "models"),
    "C": ("plain",),
    "C3": ("plain", "two"),
    "C4.2": ("plain", "turn"),
    "C4.5": ("plain", "tools"),
    "C5": ("plain", "usage"),
    "C7": ("plain", "stream"),
    "C8": ("plain", "stream"),
    "C9": TOOLS,
    "D": STREAMS,
    "D4": ("plain", *STREAMS),
    "D5": (*STREAMS, "late"),
    "D7": ("models",),
    "E": STREAMS,
    "E8": TOOLS,
    "E9-tools": TOOLS,
    "F1": ("refused", "wrong-url", "unknown-model"),
    "F2": ("refused", "refused-stream"),
    "F3": ("wrong-url", "wrong-key", "unknown-model"),
    "F3-oversize": ("oversize",),
    "F3-oversize-huge": (),  # whether a client reads the refusal before the reset is a matter of time
    "F3-exact-413": ("oversize",),
    "F4": ("refused-stream",),
    "F5": ("stream", "late"),
    "F7": ("plain",),
    "F7-": (),  # of values that none of these clients sends by itself
    "F8": ("plain",),
    "G15-response-format": FORMATS,
    "G15-tool": TOOLS,
    "G8": ("away", "lost"),
    "J": FORMATS,
    "G9-finish": TOOLS,
    "G9-forwarded-empty": TOOLS,
    "H2": ("plain",),
    "H3": ("models", "unknown-model"),
    "H4": SENT,
    "H4-health": (),
    "H4-lenient": (),  # recorded: none of these clients sends it
    "H4-stream": ("stream",),
    "H8": ("plain", "stream"),
    "H8-accepted-error": ("refused", "refused-stream", "unknown-model"),
    "H8-gateway": (),  # its gateway codes nothing
    "H6": (),  # no client sends another form than its own; those that send these are recorded
}
ALL_ACTS = tuple(dict.fromkeys(act for acts in ACTS.values() for act in acts))
OF_RELAYS = (*TOOLS, *FORMATS)  # the other reference calls no tool, and writes no JSON
AGAIN = "reference-again"
# One calls a custom tool, where the clients offer a function; one writes no arguments where the function has none.
OTHER_TOOL = ("tool-custom", "tool-arguments-empty")
LIMITED = {"relay-with-a-limit-of-requests", "relay-with-a-limit-of-rate"}  # every client asks again, as they say
EARLY = ("late",)  # needs a server that begins its streams before the gateway has answered


@dataclass(frozen=True)
class Served:
    """One server: a fault or a healthy variant, and what is asked of it."""

    fault: Fault
    acts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the fault."""
        return self.fault.name

    @property
    def early(self) -> bool:
        """Whether its streams begin early."""
        return bool(set(EARLY) & set(self.acts))

    @property
    def baseline(self) -> str:
        """The healthy server that it is compared with."""
        return "relay" if self.fault.profile == "openai" else "reference-early" if self.early else "reference"


def acts_of(fault: Fault) -> tuple[str, ...]:
    """What is asked of a fault; nothing when no client could see it."""
    prefixes = [prefix for prefix in ACTS if fault.check.startswith(prefix)]
    acts = ACTS[max(prefixes, key=len)] if prefixes else ()
    return tuple(act for act in acts if fault.profile == "openai" or act not in OF_RELAYS)


def acts_of_relay(name: str) -> tuple[str, ...]:
    """What is asked of a healthy variant of the relay."""
    return CHAT if name in OTHER_TOOL else (*CHAT, *OF_RELAYS)


def baselines() -> tuple[Served, ...]:
    """The healthy servers."""
    reference, relay = VARIANTS["reference"], VARIANTS["relay"]
    plainly = tuple(act for act in ALL_ACTS if act not in (*EARLY, *OF_RELAYS))
    early = Fault("reference-early", "the reference, whose streams begin early", "")
    return (
        Served(reference, plainly),
        Served(relay, tuple(act for act in ALL_ACTS if act not in EARLY)),
        Served(early, (*CHAT, *EARLY)),
    )


def selection() -> tuple[Served, ...]:
    """The healthy servers first, then every other healthy variant, every visible fault and every probe."""
    variants = (
        Served(
            variant, (*CHAT, "models", "refused", "wrong-url") if variant.profile == "lumen" else acts_of_relay(name)
        )
        for name, variant in VARIANTS.items()
        if name not in {"reference", "relay", *LIMITED}
    )
    faults = (Served(fault, acts) for fault in (FAULTS | PROBES).values() if (acts := acts_of(fault)))
    again = Served(Fault(AGAIN, "the reference once more, at the end", ""), CHAT)
    return (*baselines(), *variants, *faults, again)
