"""What the days are called that a calendar has off, and whether they are still those of then."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from app.core.calendars import Calendar
from app.core.explaining.values import Fact, FactKind, Rule
from app.core.explaining.wording import Clockface, one_line, roughly


def days_off(calendars: Iterable[Calendar], rule: Rule, days: Iterable[date]) -> Iterator[Fact]:
    """For each of the days what the calendars of a rule call it, as far as they have it off.

    Calendars are as they are today: which day was off then, the rule itself knows.
    """
    names = () if rule.calendars is None else rule.calendars.names
    kept = [calendar for calendar in calendars if calendar.name in names]
    for day in sorted(set(days)):
        for calendar in kept:
            for entry in calendar.contents.days_off:
                if entry.first <= day <= entry.last:
                    called = "off" if entry.label is None else one_line(entry.label)
                    yield Fact(
                        FactKind.CALENDAR,
                        f"In the calendar {calendar.name} {day.isoformat()} is {called}.",
                        {"calendar": calendar.name, "day": day.isoformat(), "label": entry.label},
                    )
                    break


def changes_since(calendars: Iterable[Calendar], rule: Rule, at: datetime, face: Clockface) -> Iterator[Fact]:
    """For each calendar of a rule that may have had other days at an instant than it has today: that it has changed.

    A calendar's former days are not kept, and its schedules get no revision when they change. Only its last change has
    an instant; it counts also where that was one of a label, as an earlier one may have been of a day.
    """
    stored = {calendar.name: calendar for calendar in calendars}
    for name in () if rule.calendars is None else rule.calendars.names:
        calendar = stored.get(name)
        if calendar is None:
            text, changed_at = "has been removed since", None
        elif calendar.created_at >= at:
            text = f"was created anew on {face.named(roughly(calendar.created_at))}"
            changed_at = calendar.created_at
        elif calendar.updated_at >= at and calendar.days_revision > 1:
            text = f"was last changed on {face.named(roughly(calendar.updated_at))}"
            changed_at = calendar.updated_at
        else:
            continue
        yield Fact(
            FactKind.CALENDAR,
            f"The calendar {name} {text}; its days of before are not kept.",
            {"calendar": name, "changed_at": changed_at},
        )
