"""What a judge is: a pure function from captured bytes to one verdict about one claim.

A judge function yields findings, each a way in which the capture breaks the claim; none means that it holds. The claim
is the first line of its docstring. A claim about something that is not there is not judged: the precondition of a
judge, or the function itself, says whether the claim does not apply (`NotApplicable`) or lacks what it speaks of
(`NotSeen`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.refutation import Failure

Tier = Literal["M", "S", "W"]
Profile = Literal["any", "lumen", "openai"]

EXCERPT_BYTES = 60  # on either side of the offending byte: one line of a report
SHOWN_FINDINGS = 5  # more of the same teach nothing
MOST_FINDINGS = 100  # are looked for: each costs time, and every chunk of a long stream may have one


@dataclass(frozen=True)
class Known:
    """What the suite knows beside the bytes; an empty field means unknown, and claims about it hold.

    ``text``         the assistant's words as the gateway sent them, or as the plain answer had them
    ``finish``       the finish reason of the plain answer
    ``secrets``      keys and tokens that were submitted or configured
    ``model``        the name that the caller asks for, which may look like a path or like a key
    ``upstream``     addresses behind the target that no client may learn
    ``said_mono_s``  ``time.monotonic()`` when a streaming upstream sent the last of its words
    """

    text: str | None = None
    finish: str | None = None
    secrets: tuple[str, ...] = ()
    model: str = ""
    upstream: tuple[str, ...] = ()
    said_mono_s: float | None = None


NOTHING_KNOWN = Known()


@dataclass(frozen=True)
class Finding:
    """One way in which a capture breaks a claim; ``offset`` counts bytes of the body, ``path`` is a JSON path."""

    expected: str
    found: str
    offset: int | None = None
    path: str = ""
    seen: Capture | None = None


@dataclass(frozen=True)
class NotApplicable:
    """A claim is about something else than what was asked for or sent, and nothing is wrong: its check is skipped."""

    reason: str

    @property
    def because_of(self) -> tuple[str, ...]:
        """No check: none has to fail."""
        return ()


@dataclass(frozen=True)
class NotSeen:
    """A claim applies, and what it speaks of did not come: its check is not judged.

    ``because_of``  the ids of the checks that say why, at least one; any of several may be the one. `EXCHANGE` stands
                    for the check that fails where the exchange is not what it is meant to be: that depends on what was
                    asked for, and whoever chose the capture knows it.
    """

    reason: str
    because_of: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.because_of:
            raise ValueError(f"{self.reason}: not seen because of no check; name one, or use NotApplicable")


Unjudged = NotApplicable | NotSeen
EXCHANGE: Final = "the exchange"


@dataclass(frozen=True)
class Verdict:
    """One claim about one capture, with what a person needs to believe it or to fix the server.

    ``failure``   what was expected and found, where the claim is broken
    ``unjudged``  why the claim could not be decided; both are None where it holds
    """

    check: str
    tier: Tier
    claim: str
    failure: Failure | None = None
    unjudged: Unjudged | None = None

    @property
    def ok(self) -> bool:
        """Whether the claim was judged and holds."""
        return self.failure is None and self.unjudged is None

    @property
    def failed(self) -> bool:
        """Whether the claim was judged and is broken."""
        return self.failure is not None

    def __str__(self) -> str:
        if self.failure:
            return self.failure.text(self.check, self.tier, self.claim)
        if isinstance(self.unjudged, NotApplicable):
            return f"{self.check} ({self.tier}) not applicable: {self.unjudged.reason}: {self.claim}"
        if self.unjudged:
            checks = ", ".join(self.unjudged.because_of)
            return f"{self.check} ({self.tier}) not judged: {self.unjudged.reason} ({checks}): {self.claim}"
        return f"{self.check} ({self.tier}) holds: {self.claim}"


@dataclass(frozen=True)
class Claim:
    """What is claimed, how much it matters, who says so, for whom it holds, and which knowledge it needs."""

    check: str
    tier: Tier
    text: str
    source: str
    profile: Profile = "any"
    needs: str = ""

    def unknown(self, known: Known) -> bool:
        """Whether the claim would hold only because nothing is known."""
        return bool(self.needs) and getattr(known, self.needs) in (None, ())

    def verdict(self, findings: Iterable[Finding | Unjudged], seen: Capture) -> Verdict:
        """Sum up: the first finding is shown in full, the next few by their texts."""
        every = list(islice(findings, MOST_FINDINGS))
        broken = [each for each in every if isinstance(each, Finding)]
        unjudged = next((each for each in every if isinstance(each, Unjudged)), None)
        if not broken:
            return Verdict(self.check, self.tier, self.text, unjudged=unjudged)
        return Verdict(self.check, self.tier, self.text, failure=failure_of(broken, seen))


def failure_of(findings: Sequence[Finding], seen: Capture) -> Failure:
    """What these findings, at least one, come to."""
    first = findings[0]
    unlike = {each.found: each for each in reversed(findings[1:SHOWN_FINDINGS]) if each.found != first.found}
    others = [f"{text}{f' at {each.path}' * bool(each.path)}" for text, each in reversed(unlike.items())]
    found = "; ".join([first.found, *others])
    if more := len(findings) - 1 - len(others):
        found += f"; and {'at least ' if len(findings) == MOST_FINDINGS else ''}{more} more"
    blamed = first.seen or seen
    where = ", ".join(filter(None, [first.path, "" if first.offset is None else f"byte {first.offset}"]))
    return Failure(first.expected, found, where, excerpt(blamed.body, first.offset), blamed.curl())


def excerpt(body: bytes, offset: int | None) -> str:
    """The bytes around an offset as Python would write them, cut marks included; of the start when there is none."""
    at = offset or 0
    start, end = max(0, at - EXCERPT_BYTES), at + EXCERPT_BYTES
    cut = "…" if start else "", "…" if end < len(body) else ""
    return f"{cut[0]}{body[start:end]!r}{cut[1]}" if body else "(empty body)"


Findings = Iterable[Finding | Unjudged]
Precondition = Callable[[Capture], Unjudged | None]


def no_precondition(_seen: Capture) -> Unjudged | None:
    """The precondition of a claim about every capture."""
    return None


@dataclass(frozen=True)
class Judge:
    """A claim, what it needs to see, and the function that decides it for one capture."""

    claim: Claim
    decide: Callable[[Capture, Known], Findings]
    precondition: Precondition = no_precondition

    def __call__(self, seen: Capture, known: Known = NOTHING_KNOWN) -> Verdict:
        """Judge one capture."""
        if missing := self.precondition(seen):
            return self.claim.verdict([missing], seen)
        return self.claim.verdict(self.decide(seen, known), seen)


@dataclass(frozen=True)
class Comparison:
    """A claim about several captures together, what it needs to see of each, and the function that decides it."""

    claim: Claim
    decide: Callable[[Sequence[Capture]], Findings]
    precondition: Precondition = no_precondition

    def __call__(self, seen: Sequence[Capture]) -> Verdict:
        """Judge several captures together."""
        for each in seen:
            if missing := self.precondition(each):
                return self.claim.verdict([missing], seen[0])
        return self.claim.verdict(self.decide(seen), seen[0])


Decide = Callable[[Capture], Findings]
DecideKnowing = Callable[[Capture, Known], Findings]
DecideTogether = Callable[[Sequence[Capture]], Findings]


def judge(
    check: str, tier: Tier, source: str, *, profile: Profile = "any", given: Precondition = no_precondition
) -> Callable[[Decide], Judge]:
    """Make a judge of a function that needs nothing but the capture; ``given`` is its precondition."""

    def make(decide: Decide) -> Judge:
        claim = Claim(check, tier, _claim_of(decide), source, profile)
        return Judge(claim, lambda seen, _known: decide(seen), given)

    return make


def informed(
    check: str, tier: Tier, source: str, *, profile: Profile = "any", needs: str = "",
    given: Precondition = no_precondition,
) -> Callable[[DecideKnowing], Judge]:  # fmt: skip
    """Make a judge of a function that also takes what the suite knows; ``needs`` is the field it cannot do without."""

    def make(decide: DecideKnowing) -> Judge:
        return Judge(Claim(check, tier, _claim_of(decide), source, profile, needs), decide, given)

    return make


def comparison(
    check: str, tier: Tier, source: str, *, profile: Profile = "any", given: Precondition = no_precondition
) -> Callable[[DecideTogether], Comparison]:
    """Make a comparison of a function over several captures; ``given`` is asked about each."""

    def make(decide: DecideTogether) -> Comparison:
        return Comparison(Claim(check, tier, _claim_of(decide), source, profile), decide, given)

    return make


def judges_in(module: Mapping[str, object]) -> tuple[Judge, ...]:
    """The judges that a module defines, in their order there."""
    return tuple(each for each in module.values() if isinstance(each, Judge))


def comparisons_in(module: Mapping[str, object]) -> tuple[Comparison, ...]:
    """The comparisons that a module defines, in their order there."""
    return tuple(each for each in module.values() if isinstance(each, Comparison))


def _claim_of(decide: Callable[..., object]) -> str:
    if not decide.__doc__:
        raise ValueError(f"{getattr(decide, '__name__', decide)}: a judge without a docstring claims nothing")
    return decide.__doc__.strip().splitlines()[0].rstrip(".")
