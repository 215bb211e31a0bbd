"""Expressions that never occur, although there are days for them: the clocks jump over each of their times."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from app.core.errors import InvalidScheduleException
from app.core.occurrences.cron_grammar import FIELDS, read_cron
from app.core.occurrences.instants import quoted
from app.core.occurrences.lost_times import loses_times, lost_times
from app.core.occurrences.policy import Gap
from app.core.occurrences.search import next_occurrence
from app.core.occurrences.timing import Timing

_LAST = datetime.max.replace(tzinfo=UTC)


def never_occurs(timing: Timing, after: datetime) -> InvalidScheduleException | None:
    """The refusal of an expression all whose times after an aware instant are lost to gaps; null where it occurs.

    Its bounds and days off are not looked at. Raises as `next_occurrence` does.
    """
    if not loses_times(timing):
        return None
    always = replace(timing, days=None, start_at=None, end_at=None)
    if next_occurrence(always, after) is not None:
        return None
    lost = next(lost_times(always, after, _LAST), None)
    if lost is None:
        return None
    expression = timing.cron_expression or ""
    return InvalidScheduleException.of(
        "cron_expression",
        f"cron_expression {quoted(expression)}: it never occurs: {lost.text} So it is with all its times; "
        f"{_instead(expression, timing.dst_policy.gap)} fires at the first instant after",
    )


def _instead(expression: str, gap: Gap) -> str:
    """What would fire: a fixed expression that names the same times, under the policy that makes up for a gap."""
    source = read_cron(expression)
    with_after = f"dst_policy gap '{Gap.AFTER}'" if gap is Gap.SKIP else ""
    if not source.wild:
        return f"with {with_after} it"
    named = [
        re.sub(r"^\*", f"{field.low}-{field.high}", text) for field, text in zip(FIELDS, source.texts[:3], strict=False)
    ]
    texts = [*named, *source.texts[3:]] if len(expression.split()) == 6 else [*named[1:], *source.texts[3:]]
    return f"'{' '.join(texts)}'" + (f" with {with_after}" if with_after else "")
