"""Every claim that a judge can decide, and which judges speak about which kind of exchange.

The tables of the areas stand beside their functions; this is only the union. A judge may be asked about any capture:
the kinds say where its claim has a meaning.
"""

from lumen_conformance.checks import b_json, c_answer, c_several, d_framing, e_stream, e_tools, e_usage, f_errors
from lumen_conformance.checks.verdict import Claim, Comparison, Judge

E_JUDGES = (*e_stream.JUDGES, *e_usage.JUDGES, *e_tools.JUDGES)
JUDGES: dict[str, Judge] = {
    judge.claim.check: judge
    for judge in (*b_json.JUDGES, *c_answer.JUDGES, *d_framing.JUDGES, *E_JUDGES, *f_errors.JUDGES)
}
COMPARISONS: dict[str, Comparison] = {each.claim.check: each for each in c_several.COMPARISONS}
CLAIMS: dict[str, Claim] = {
    **{name: judge.claim for name, judge in JUDGES.items()},
    **{name: comparison.claim for name, comparison in COMPARISONS.items()},
}


def judges(*prefixes: str) -> tuple[Judge, ...]:
    """The judges of these ids; ``F1`` means F1 and all of F1.1, F1.2, … Raises KeyError when there are none."""
    found = tuple(judge for name, judge in JUDGES.items() for prefix in prefixes if _below(name, prefix))
    if not found:
        raise KeyError(prefixes)
    return found


def table() -> str:
    """Every claim as a Markdown table."""
    rows = [f"| {c.check} | {c.tier} | {c.profile} | {c.text} | {c.source} |" for c in CLAIMS.values()]
    head = ["| id | tier | profile | claim | who says so, or where it broke |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _musts(*found: Judge) -> tuple[Judge, ...]:
    """Those of tier M, for a check that asks several judges at once."""
    return tuple(judge for judge in found if judge.claim.tier == "M")


ANY_JSON = judges("B1", "D7", "F6")
ANSWER = (*ANY_JSON, *judges("B2", "F8"), *c_answer.JUDGES)
ANY_STREAM = (
    *ANY_JSON,
    *judges("B2", "C1.1", "F8"),
    *(judge for judge in (*d_framing.JUDGES, *e_stream.JUDGES) if judge not in ANY_JSON),
)
STREAM = (*ANY_STREAM, *e_usage.UNASKED)
USAGE_STREAM = (*ANY_STREAM, *e_usage.ASKED)
TOOL_STREAM = (*STREAM, *e_tools.JUDGES)
REFUSAL = _musts(*ANY_JSON, *judges("F1"))
BAD_REQUEST = (*judges("F2"), *REFUSAL)
REFUSED_STREAM = (*REFUSAL, *judges("F4"))
BROKEN_STREAM = _musts(*judges("B1", "D1", "D2.1", "D2.2", "D5", "D7", "F1.1", "F1.2", "F1.3", "F5", "F6"))
