"""What the days are called that a calendar has off."""

from collections.abc import Iterable, Iterator
from datetime import date

from app.core.calendars import Calendar
from app.core.explaining.values import Fact, FactKind, Rule
from app.core.explaining.wording import one_line


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
