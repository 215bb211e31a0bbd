"""Which definition was in force at an instant, how it reads in words, and who changed it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from app.core.errors import InvalidScheduleException
from app.core.explaining.values import Case, Event, Fact, FactKind, Rule
from app.core.explaining.wording import Clockface, because, lasting, roughly, who
from app.core.occurrences import OnDayOff, ScheduleType, Timing, describe
from app.core.occurrences.words import listed

_FIELDS = (
    "cron_expression",
    "interval_seconds",
    "scheduled_time",
    "start_at",
    "end_at",
    "jitter_seconds",
    "dst_policy",
)
_DAYS_OFF = {
    OnDayOff.SKIP: "On the days off of its {names} it does not fire",
    OnDayOff.NEXT_BUSINESS_DAY: "What falls on a day off of its {names}, or a weekend, moves to the next business day",
    OnDayOff.PREVIOUS_BUSINESS_DAY: (
        "What falls on a day off of its {names}, or a weekend, moves to the business day before"
    ),
}


def rule_at(case: Case, at: datetime) -> Rule:
    """The definition in force at an instant, or the oldest one that is kept."""
    return next((rule for rule in case.rules if rule.until is None or at <= rule.until), case.rules[-1])


def rule_of(case: Case, revision: int) -> Rule | None:
    """The definition of a revision; null when it is not kept any more."""
    return next((rule for rule in case.rules if rule.revision == revision), None)


def is_kept(case: Case, rule: Rule, at: datetime) -> bool:
    """Whether a rule was in force at an instant, and does not only stand for one that is forgotten."""
    return at <= case.created_at or (rule.since is not None and rule.since < at)


def same_timing(one: Rule, other: Rule) -> bool:
    """Whether both say the same of when to fire."""
    return one.timing == other.timing and one.calendars == other.calendars


def change_after(case: Case, rule: Rule) -> Rule | None:
    """The first later definition that fires otherwise."""
    place = case.rules.index(rule)
    return next((later for later in case.rules[place + 1 :] if not same_timing(rule, later)), None)


def change_before(case: Case, rule: Rule) -> Rule | None:
    """The last earlier definition that fired otherwise."""
    place = case.rules.index(rule)
    return next((earlier for earlier in reversed(case.rules[:place]) if not same_timing(rule, earlier)), None)


def changed_to(case: Case, rule: Rule) -> Event | None:
    """The audited change that brought a definition into force; null for the first, and where it is not known."""
    return next((event for event in case.events if event.at == rule.since and event.revision == rule.revision), None)


def in_words(timing: Timing) -> str:
    """The rule to follow "it fires", such as "at 12:00, Monday to Friday"."""
    try:
        text = describe(timing)
    except InvalidScheduleException:
        # Its zone is not known any more, or the expression is one that is not accepted any more.
        return f"by {timing.cron_expression}" if timing.cron_expression else "once"
    return text[:1].lower() + text[1:]


def rule_fact(rule: Rule, *, kept: bool, face: Clockface) -> Fact:
    """The rule in words, with where it is from."""
    timing = rule.timing
    match timing.schedule_type:
        case ScheduleType.CRON:
            told = f"it fires {in_words(timing)}, in the time zone {timing.timezone} ({timing.cron_expression})."
        case ScheduleType.INTERVAL:
            anchor = timing.start_at or timing.anchor
            counted = "" if anchor is None else f", counted from {face.named(anchor)}"
            told = f"it fires {in_words(timing)}{counted}."
        case ScheduleType.ONE_TIME:
            told = f"it fires {in_words(timing)}."
    sentences = [f"By its rule {told}", *_conditions(rule, face)]
    if not kept:
        sentences.append("The definition of that time is not kept any more: this is the oldest one that is.")
    return Fact(
        FactKind.RULE,
        " ".join(sentences),
        {
            "schedule_type": timing.schedule_type,
            "cron_expression": timing.cron_expression,
            "interval_seconds": timing.interval_seconds,
            "scheduled_time": timing.scheduled_time,
            "timezone": timing.timezone,
            "start_at": timing.start_at,
            "end_at": timing.end_at,
            "jitter_seconds": timing.jitter_seconds,
            "dst_policy": {"gap": timing.dst_policy.gap, "fold": timing.dst_policy.fold},
            "calendars": None if rule.calendars is None else list(rule.calendars.names),
            "on_day_off": None if rule.calendars is None else rule.calendars.on_day_off,
            "revision": rule.revision,
            "in_force_then": kept,
        },
    )


def _conditions(rule: Rule, face: Clockface) -> Iterator[str]:
    """What else the rule says, each as a sentence."""
    timing, calendars = rule.timing, rule.calendars
    if timing.start_at is not None and timing.schedule_type is not ScheduleType.INTERVAL:
        yield f"It begins on {face.named(timing.start_at)}."
    if timing.end_at is not None:
        yield f"It ends on {face.named(timing.end_at)}."
    if timing.jitter_seconds:
        yield f"Each occurrence is delayed by up to {lasting(timedelta(seconds=timing.jitter_seconds))} (jitter)."
    if calendars is not None:
        names = f"{'calendar' if len(calendars.names) == 1 else 'calendars'} {listed(calendars.names)}"
        yield f"{_DAYS_OFF[calendars.on_day_off].format(names=names)}."


def change_fact(case: Case, before: Rule, after: Rule, face: Clockface, *, relevance: str) -> Fact:
    """A change from one rule to another, and what it means for the instant in question."""
    event = changed_to(case, after)
    by = "" if event is None else f" {who(event.by, automatic=event.automatic)}{because(event.reason)}"
    when = "At a time that is not kept" if after.since is None else f"On {face.named(roughly(after.since))}"
    text = f"{when} its rule was changed{by}: {_contrast(before, after)}. {relevance}"
    return Fact(
        FactKind.CHANGED,
        text,
        {
            "at": after.since,
            "by": None if event is None else event.by,
            "from": _short(before.timing),
            "to": _short(after.timing),
            "revision": after.revision,
        },
    )


def _contrast(before: Rule, after: Rule) -> str:
    """What differs between two rules: in their words where these differ, else by the names of the fields."""
    if in_words(before.timing) != in_words(after.timing):
        return f"from {in_words(before.timing)}, to {in_words(after.timing)}"
    if before.timing.timezone != after.timing.timezone:
        return f"from the time zone {before.timing.timezone} to {after.timing.timezone}"
    fields = [name for name in _FIELDS if getattr(before.timing, name) != getattr(after.timing, name)]
    return f"another {listed(fields or ['calendars'])}"


def _short(timing: Timing) -> dict[str, object]:
    return {
        "cron_expression": timing.cron_expression,
        "interval_seconds": timing.interval_seconds,
        "scheduled_time": timing.scheduled_time,
        "timezone": timing.timezone,
    }
