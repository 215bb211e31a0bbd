"""Calendars: what they hold, what several of them come to, and how two states of one differ."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.core.calendars import (
    FIRST_YEAR,
    LAST_YEAR,
    Calendar,
    Contents,
    Days,
    Fill,
    Holidays,
    Source,
    composed,
    copied_of,
    difference,
    merged,
    own,
)
from app.core.occurrences import OnDayOff

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHRISTMAS = date(2026, 12, 25)
SATURDAY_AND_SUNDAY, FRIDAY_AND_SATURDAY = frozenset({6, 0}), frozenset({5, 6})
SOURCE = Source(Fill("SA", None, 2026, 2026), "1.0", NOON, FRIDAY_AND_SATURDAY)


def calendar(contents: Contents) -> Calendar:
    return Calendar(
        calendar_id=UUID(int=1),
        community_id=1,
        name="firm",
        description=None,
        contents=contents,
        created_by=None,
        created_at=NOON,
        updated_at=NOON,
        revision=3,
        days_revision=2,
        recomputed_revision=2,
    )


def contents(
    off: tuple[Days, ...] = (), worked: tuple[Days, ...] = (), weekend: frozenset[int] | None = None
) -> Contents:
    return composed(off, worked, weekend, None, None)


def test_a_calendar_is_recomputed_once_everyone_has_its_last_change_of_a_day() -> None:
    stored = calendar(contents())
    assert stored.recomputed
    assert not replace(stored, days_revision=3).recomputed


def test_the_weekend_is_the_callers_else_the_sources_else_the_usual_one() -> None:
    assert contents().weekend == SATURDAY_AND_SUNDAY
    assert composed((), (), None, None, SOURCE).weekend == FRIDAY_AND_SATURDAY
    assert composed((), (), frozenset({1}), None, SOURCE).weekend == {1}
    assert composed((), (), frozenset(), None, SOURCE).weekend == frozenset()


def test_contents_are_in_order_whoever_gave_them() -> None:
    copied = Holidays((Days(CHRISTMAS, CHRISTMAS, "Christmas Day", True),), (), FRIDAY_AND_SATURDAY, "1.0")
    later, earlier = Days(date(2026, 12, 31), date(2026, 12, 31)), Days(date(2026, 12, 24), date(2026, 12, 26))
    made = composed((later, earlier), (), None, copied, SOURCE)
    assert made.days_off == (earlier, *copied.days_off, later)
    assert tuple(own(made.days_off)) == (earlier, later)
    assert copied_of(made) == copied
    assert copied_of(contents((earlier,))) is None


def test_names_of_days_are_no_difference_and_days_are() -> None:
    one, other = Days(CHRISTMAS, CHRISTMAS), Days(CHRISTMAS, CHRISTMAS, "Christmas Day")
    assert contents((one,)).same_days(contents((other, one)))
    assert not contents((one,)).same_days(contents())
    assert not contents((one,)).same_days(contents((), (one,)))
    assert not contents().same_days(contents(weekend=FRIDAY_AND_SATURDAY))


def test_a_difference_is_of_both_lists_and_counts_what_stays_the_callers() -> None:
    kept = Days(date(2026, 12, 24), date(2026, 12, 24))
    old, new = Days(CHRISTMAS, CHRISTMAS, "Xmas", True), Days(CHRISTMAS, CHRISTMAS, "Christmas Day", True)
    found = difference(contents((kept, old), (kept,)), contents((kept, new), (kept, old)))
    assert (found.days_off_added, found.days_off_removed) == ((new,), (old,))
    assert (found.days_worked_added, found.days_worked_removed) == ((old,), ())
    assert found.kept_own == 2


_DAYS = st.dates(date(FIRST_YEAR, 1, 1), date(FIRST_YEAR + 1, 12, 31))
_RANGES = st.lists(
    st.builds(lambda first, second: Days(min(first, second), max(first, second)), _DAYS, _DAYS), max_size=4
).map(tuple)
_CONTENTS = st.builds(contents, _RANGES, _RANGES, st.frozensets(st.integers(0, 6)) | st.none())


def named(ranges: tuple[Days, ...], day: date) -> bool:
    return any(each.first <= day <= each.last for each in ranges)


@given(st.lists(_CONTENTS, min_size=1, max_size=3), _DAYS, st.sampled_from(OnDayOff))
def test_a_day_is_off_where_any_calendar_has_it_off_and_none_has_it_worked(
    several: list[Contents], day: date, rule: OnDayOff
) -> None:
    days = merged([calendar(one) for one in several], rule)
    off = any(named(one.days_off, day) for one in several)
    worked = any(named(one.days_worked, day) for one in several)
    weekend = any(day.toordinal() % 7 in one.weekend for one in several)
    assert days.on_day_off is rule
    assert days.is_off(day) == (off and not worked)
    assert days.is_business_day(day) == (worked or not (off or weekend))


def test_the_last_year_of_a_calendar_is_one_that_occurrences_know() -> None:
    last = Days(date(LAST_YEAR, 12, 31), date(LAST_YEAR, 12, 31))
    assert merged([calendar(contents((last,)))], OnDayOff.SKIP).is_off(last.first)
