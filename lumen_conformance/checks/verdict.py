"""The types of judges: a judge is a pure function from a capture to a verdict about one claim.

A judge function yields a finding for each way in which the capture breaks the claim. The claim holds when there are no
findings. The claim is the first line of the function's docstring. When the claim cannot be decided, the precondition of
the judge, or the function itself, yields `NotApplicable` (the claim does not apply to this exchange) or `NotObserved`
(the claim applies, but the response lacks the part that it is about).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.exchange_record import hexdump
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.registry.refutation import Failure

Tier = Literal["M", "S", "W"]
Profile = Literal["any", "lumen", "openai"]

EXCERPT_BYTES = 60  # before and after the offset of a finding: one line of a report
NEAR_BYTES: Final = 8_192  # before and after an offset: more than a hexdump shows, and than a secret is long
SHOWN_FINDINGS = 5  # further findings add no information
MOST_FINDINGS = 100  # a limit on the time of a judge: every chunk of a long stream can have a finding


@dataclass(frozen=True)
class JudgeContext:
    """What the suite knows in addition to the capture; claims about an unknown (empty) field hold.

    ``text``         the assistant's text as the gateway sent it, or as the plain answer has it
    ``finish``       the finish_reason of the plain answer
    ``secrets``      keys and tokens that were sent or configured
    ``model``        the model that the client requests; its name can look like a path or a key
    ``upstream``     addresses of the gateway, which no response may contain
    ``said_mono_s``  ``time.monotonic()`` when a streaming gateway sent its last content
    """

    text: str | None = None
    finish: str | None = None
    secrets: tuple[str, ...] = ()
    model: str = ""
    upstream: tuple[str, ...] = ()
    said_mono_s: float | None = None


EMPTY_CONTEXT = JudgeContext()


@dataclass(frozen=True)
class Finding:
    """One way in which a capture breaks a claim; ``offset`` is a byte offset in the body, ``path`` a JSON path."""

    expected: str
    found: str
    offset: int | None = None
    path: str = ""
    capture: Capture | None = None


@dataclass(frozen=True)
class NotApplicable:
    """The claim does not apply to this exchange: its check is skipped."""

    reason: str

    @property
    def because_of(self) -> tuple[str, ...]:
        """No check: no other check has to fail."""
        return ()


@dataclass(frozen=True)
class NotObserved:
    """The claim applies, but the response lacks the part that it is about: its check is not judged.

    ``because_of``  the ids of the checks that fail for this reason, at least one; one of several is enough. `EXCHANGE`
                    stands for the check that fails when the exchange is not of the expected kind. That check depends on
                    the request; the test that chose the capture knows it.
    """

    reason: str
    because_of: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.because_of:
            raise ValueError(f"{self.reason}: because_of is empty; name a check, or use NotApplicable")


Unjudged = NotApplicable | NotObserved
EXCHANGE: Final = "the exchange"


@dataclass(frozen=True)
class Verdict:
    """The result of a judge for one capture.

    ``failure``   what was expected and found, when the claim is broken
    ``unjudged``  why the claim could not be decided; both are None when the claim holds
    """

    check: str
    tier: Tier
    claim: str
    failure: Failure | None = None
    unjudged: Unjudged | None = None

    @property
    def ok(self) -> bool:
        """Whether the claim was decided and holds."""
        return self.failure is None and self.unjudged is None

    @property
    def failed(self) -> bool:
        """Whether the claim was decided and is broken."""
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
    """A claim: its check id, tier, text, source, the profile it applies to, and the context field that it needs."""

    check: str
    tier: Tier
    text: str
    source: str
    profile: Profile = "any"
    needs: str = ""

    def lacks_context(self, context: JudgeContext) -> bool:
        """Whether the context lacks the field that the claim needs."""
        return bool(self.needs) and getattr(context, self.needs) in (None, ())

    def verdict(self, findings: Iterable[Finding | Unjudged], capture: Capture) -> Verdict:
        """Make a verdict of the findings: the first is shown completely, the next ones by their texts."""
        every = list(islice(findings, MOST_FINDINGS))
        broken = [each for each in every if isinstance(each, Finding)]
        unjudged = next((each for each in every if isinstance(each, Unjudged)), None)
        if not broken:
            return Verdict(self.check, self.tier, self.text, unjudged=unjudged)
        return Verdict(self.check, self.tier, self.text, failure=summarize_findings(broken, capture))


def summarize_findings(findings: Sequence[Finding], capture: Capture) -> Failure:
    """Make one failure of at least one finding."""
    first = findings[0]
    unlike = {each.found: each for each in reversed(findings[1:SHOWN_FINDINGS]) if each.found != first.found}
    others = [f"{text}{f' at {each.path}' * bool(each.path)}" for text, each in reversed(unlike.items())]
    found = "; ".join([first.found, *others])
    if more := len(findings) - 1 - len(others):
        found += f"; and {'at least ' if len(findings) == MOST_FINDINGS else ''}{more} more"
    blamed = first.capture or capture
    where = ", ".join(filter(None, [first.path, "" if first.offset is None else f"byte {first.offset}"]))
    dump = "" if first.offset is None else hexdump(_blanked_near(blamed.body, first.offset), first.offset)
    return Failure(first.expected, found, where, excerpt(blamed.body, first.offset), blamed.curl(), dump=dump)


def _blanked_near(body: bytes, offset: int) -> bytes:
    """Return the body with secrets blanked in what a hexdump of this offset shows; all of a long one takes too long."""
    start, end = max(0, offset - NEAR_BYTES), offset + NEAR_BYTES
    return body[:start] + redactor().blanked(body[start:end]) + body[end:]


def excerpt(body: bytes, offset: int | None) -> str:
    """The bytes around an offset (default: the start) in Python notation, with … where they are cut."""
    at = offset or 0
    start, end = max(0, at - EXCERPT_BYTES), at + EXCERPT_BYTES
    cut = "…" if start else "", "…" if end < len(body) else ""
    return f"{cut[0]}{body[start:end]!r}{cut[1]}" if body else "(empty body)"


Findings = Iterable[Finding | Unjudged]
Precondition = Callable[[Capture], Unjudged | None]


def no_precondition(_capture: Capture) -> Unjudged | None:
    """The precondition of a claim that applies to every capture."""
    return None


@dataclass(frozen=True)
class Judge:
    """A claim, its precondition, and the function that decides it for one capture."""

    claim: Claim
    decide: Callable[[Capture, JudgeContext], Findings]
    precondition: Precondition = no_precondition

    def __call__(self, capture: Capture, context: JudgeContext = EMPTY_CONTEXT) -> Verdict:
        """Judge one capture."""
        if missing := self.precondition(capture):
            return self.claim.verdict([missing], capture)
        return self.claim.verdict(self.decide(capture, context), capture)


@dataclass(frozen=True)
class Comparison:
    """A claim about several captures, its precondition for each, and the function that decides it."""

    claim: Claim
    decide: Callable[[Sequence[Capture]], Findings]
    precondition: Precondition = no_precondition

    def __call__(self, captures: Sequence[Capture]) -> Verdict:
        """Judge several captures."""
        for each in captures:
            if missing := self.precondition(each):
                return self.claim.verdict([missing], captures[0])
        return self.claim.verdict(self.decide(captures), captures[0])


Decide = Callable[[Capture], Findings]
DecideWithContext = Callable[[Capture, JudgeContext], Findings]
DecideTogether = Callable[[Sequence[Capture]], Findings]


def judge(
    check: str, tier: Tier, source: str, *, profile: Profile = "any", given: Precondition = no_precondition
) -> Callable[[Decide], Judge]:
    """Make a judge of a function of a capture; ``given`` is its precondition."""

    def make(decide: Decide) -> Judge:
        claim = Claim(check, tier, _claim_of(decide), source, profile)
        return Judge(claim, lambda capture, _context: decide(capture), given)

    return make


def judge_with_context(
    check: str, tier: Tier, source: str, *, given: Precondition, profile: Profile = "any", needs: str = ""
) -> Callable[[DecideWithContext], Judge]:
    """Make a judge of a function of a capture and a context; ``needs`` names the context field that it requires."""

    def make(decide: DecideWithContext) -> Judge:
        return Judge(Claim(check, tier, _claim_of(decide), source, profile, needs), decide, given)

    return make


def comparison(
    check: str, tier: Tier, source: str, *, profile: Profile = "any", given: Precondition = no_precondition
) -> Callable[[DecideTogether], Comparison]:
    """Make a comparison of a function of several captures; ``given`` is the precondition for each."""

    def make(decide: DecideTogether) -> Comparison:
        return Comparison(Claim(check, tier, _claim_of(decide), source, profile), decide, given)

    return make


def judges_in(module: Mapping[str, object]) -> tuple[Judge, ...]:
    """The judges of a module, in the order of their definitions."""
    return tuple(each for each in module.values() if isinstance(each, Judge))


def comparisons_in(module: Mapping[str, object]) -> tuple[Comparison, ...]:
    """The comparisons of a module, in the order of their definitions."""
    return tuple(each for each in module.values() if isinstance(each, Comparison))


def _claim_of(decide: Callable[..., object]) -> str:
    if not decide.__doc__:
        raise ValueError(
            f"{getattr(decide, '__name__', decide)}: a judge needs a docstring; its first line is the claim"
        )
    return decide.__doc__.strip().splitlines()[0].rstrip(".")
