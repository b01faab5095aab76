"""``PYTHONPATH=. python benchmarks/public-defects [REPORT …]``: run the contract against all defects, or against these.

``--record NAME`` keeps the result under this name, ``--harmless`` runs the steps without a defect, ``--pages`` writes
docs/public-defects.md from what is kept.
"""

from __future__ import annotations

import argparse
import time

from measurement import harmless, measure, read_reports, record


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(prog="python benchmarks/public-defects", description=__doc__)
    parser.add_argument("reports", nargs="*", metavar="OWNER/REPOSITORY#NUMBER")
    parser.add_argument("--record", metavar="NAME")
    parser.add_argument("--harmless", action="store_true")
    parser.add_argument("--pages", action="store_true")
    arguments = parser.parse_args()
    if arguments.pages:
        from page import write  # noqa: PLC0415 -- needs no contract

        write()
        return
    kinds = {report.report: report for report in read_reports()}
    found = {}
    began_s = time.monotonic()
    for name, tiers in harmless() if arguments.harmless else measure(arguments.reports):
        found[name] = tiers
        print(f"{name}: {len(tiers['M'])} M, {len(tiers['S'])} S ({time.monotonic() - began_s:.0f} s)", flush=True)
        for tier, checks in tiers.items():
            own = kinds[name].of_kind(checks) if name in kinds else []
            for check, text in checks.items():
                print(f"  {'*' if check in own else ' '} {tier} {check}: {' '.join(text.split())[:300]}", flush=True)
    if arguments.record:
        record(arguments.record, found)


if __name__ == "__main__":
    main()
