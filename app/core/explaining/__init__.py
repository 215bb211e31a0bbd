"""Why a schedule did, did not, will or will not fire at an instant, in words and as data. Pure.

`instant` puts the answer together: `outcome` tells what a record says, `absence` why there is none, `ahead` what is to
come, `held_back` that a run for an earlier instant was due or sent then. `matching` asks the rule, `rules` knows which
was in force, `life` when it was paused, `counting` how many come before. `span` does it for each occurrence of a time
span.
"""

from app.core.explaining.held_back import spans
from app.core.explaining.instant import explain
from app.core.explaining.span import RECORDS_NEEDED, STAND_IN, Occurrence, Overview, Span
from app.core.explaining.values import (
    Case,
    Event,
    Explanation,
    Fact,
    FactKind,
    Records,
    Rule,
    Verdict,
)

__all__ = [
    "RECORDS_NEEDED",
    "STAND_IN",
    "Case",
    "Event",
    "Explanation",
    "Fact",
    "FactKind",
    "Occurrence",
    "Overview",
    "Records",
    "Rule",
    "Span",
    "Verdict",
    "explain",
    "spans",
]
