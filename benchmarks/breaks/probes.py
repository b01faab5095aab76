"""Defects beyond the catalogue of faults: the other ways in which a server can break a claim of tier M.

The catalogue has one defect for each check, which may be one that every client puts up with. Tiers are decided by the
worst. Each probe names the check whose claim it breaks.
"""

from __future__ import annotations

from breaks.probes_of_answers import ANSWERS
from breaks.probes_of_errors import ERRORS, MODELS
from breaks.probes_of_streams import STREAMS
from tests.fixtures.faults.fault import table

PROBES = table(*(probe for family in (ANSWERS, STREAMS, ERRORS, MODELS) for probe in family.values()))
