"""All judges and comparisons, and groups of judges for each kind of exchange.

A judge accepts any capture; the groups contain the judges whose claims apply to a kind of exchange.
"""

from lumen_conformance.checks import (
    b_json,
    c_answer,
    c_choices,
    c_comparisons,
    c_tools,
    c_usage,
    d_framing,
    e_comparisons,
    e_stream,
    e_tools,
    e_usage,
    f_errors,
    f_late_errors,
    f_leaks,
    j_structured,
)
from lumen_conformance.checks.verdict import Claim, Comparison, Judge

C_JUDGES = (*c_answer.JUDGES, *c_choices.JUDGES, *c_usage.JUDGES, *c_tools.JUDGES)
E_JUDGES = (*e_stream.JUDGES, *e_usage.JUDGES, *e_tools.JUDGES)
J_JUDGES = j_structured.JUDGES
F_JUDGES = (*f_errors.JUDGES, *f_late_errors.JUDGES, *f_leaks.JUDGES)
JUDGES: dict[str, Judge] = {  # in the order of their ids
    judge.claim.check: judge
    for judge in sorted(
        (*b_json.JUDGES, *C_JUDGES, *d_framing.JUDGES, *E_JUDGES, *F_JUDGES, *J_JUDGES),
        key=lambda judge: judge.claim.check,
    )
}
COMPARISONS: dict[str, Comparison] = {
    each.claim.check: each for each in (*c_comparisons.COMPARISONS, *e_comparisons.COMPARISONS)
}
CLAIMS: dict[str, Claim] = {
    **{name: judge.claim for name, judge in JUDGES.items()},
    **{name: comparison.claim for name, comparison in COMPARISONS.items()},
}


def judges(*prefixes: str) -> tuple[Judge, ...]:
    """The judges with these ids; ``F1`` selects F1, F1.1, F1.2, and so on. Raises KeyError when there are none."""
    found = tuple(judge for name, judge in JUDGES.items() for prefix in prefixes if _below(name, prefix))
    if not found:
        raise KeyError(prefixes)
    return found


def table() -> str:
    """The claims as a Markdown table."""
    rows = [f"| {c.check} | {c.tier} | {c.profile} | {c.text} | {c.source} |" for c in CLAIMS.values()]
    head = ["| id | tier | profile | claim | source |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith((f"{prefix}.", f"{prefix}-"))


def _musts(*found: Judge) -> tuple[Judge, ...]:
    """The judges of tier M, for a check that uses several judges."""
    return tuple(judge for judge in found if judge.claim.tier == "M")


ANY_JSON = judges("B1", "D7", "F6")
ANSWER_JUDGES = judges("C1", "C2", "C3", "C4", "C5", "C6")
ANSWER = (*ANY_JSON, *judges("B2", "F8"), *ANSWER_JUDGES)
ANY_STREAM = (
    *ANY_JSON,
    *judges("B2", "C1.1", "F8"),
    *(judge for judge in (*d_framing.JUDGES, *e_stream.JUDGES) if judge not in ANY_JSON),
)
TOOL_ANSWER = (*ANSWER, *c_tools.JUDGES)
STREAM = (*ANY_STREAM, *e_usage.NOT_REQUESTED)
USAGE_STREAM = (*ANY_STREAM, *e_usage.REQUESTED)
TOOL_STREAM = (*STREAM, *e_tools.JUDGES)
REFUSAL = _musts(*ANY_JSON, *judges("F1"))
BAD_REQUEST = (*judges("F2"), *REFUSAL)
BROKEN_STREAM = _musts(*judges("B1", "D1", "D2.1", "D2.2", "D5", "D7", "F1.1", "F1.2", "F1.3", "F5", "F6"))
