"""The days of the calendars that definitions name, held still while something is computed from them."""

from collections.abc import Iterable, Sequence

from app.core.calendars import Calendar, merged
from app.core.errors import InvalidScheduleException
from app.core.occurrences import BusinessDays
from app.core.occurrences.instants import quoted
from app.core.schedule import CalendarUse
from app.service.transactions import Work
from app.store import calendars


class KnownCalendars:
    """Those of the named calendars that there are. Equal uses have the identical days."""

    def __init__(self, found: Sequence[Calendar]) -> None:
        self._found = {calendar.name: calendar for calendar in found}
        self._days: dict[CalendarUse, BusinessDays] = {}

    def named(self, use: CalendarUse | None) -> list[Calendar]:
        """The calendars of a use, in the order of its names.

        Raises InvalidScheduleException for a name that no calendar of the community has.
        """
        names = () if use is None else use.names
        unknown = [name for name in names if name not in self._found]
        if unknown:
            listed = ", ".join(map(quoted, unknown))
            raise InvalidScheduleException.of("calendars.names", f"calendars.names: there is no calendar {listed}")
        return [self._found[name] for name in names]

    def days(self, use: CalendarUse | None) -> BusinessDays | None:
        """The days of a use's calendars together; null where none are named. Raises as `named`."""
        if use is None:
            return None
        if use not in self._days:
            self._days[use] = merged(self.named(use), use.on_day_off)
        return self._days[use]


async def shared_calendars(work: Work, uses: Iterable[CalendarUse | None]) -> KnownCalendars:
    """The calendars that are named, none of which changes until the transaction ends.

    To be asked after the schedule's row is locked: everyone locks schedules before calendars.
    """
    names = sorted({name for use in uses if use is not None for name in use.names})
    return KnownCalendars(await calendars.share(work.connection, work.community_id, names) if names else [])
