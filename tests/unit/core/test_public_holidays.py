"""The holidays of countries, as they are copied into a calendar."""

import subprocess
import sys
from datetime import date, timedelta

import pytest

from app.core.calendars import Days, Fill
from app.core.errors import InvalidScheduleException
from app.core.public_holidays import public_holidays


def test_a_regions_holidays_are_more_than_its_countrys() -> None:
    germany = {each.first for each in public_holidays(Fill("DE", None, 2026, 2026)).days_off}
    bavaria = {each.first for each in public_holidays(Fill("DE", "BY", 2026, 2026)).days_off}
    assert germany < bavaria
    assert date(2026, 1, 6) in bavaria - germany


def test_names_are_in_english_whatever_the_machine_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    found = public_holidays(Fill("DE", None, 2026, 2026)).days_off
    assert Days(date(2026, 12, 25), date(2026, 12, 25), "Christmas Day", from_source=True) in found


def test_days_are_those_of_the_years_asked_for_and_in_order() -> None:
    found = public_holidays(Fill("US", None, 2026, 2028)).days_off
    assert {each.first.year for each in found} == {2026, 2027, 2028}
    assert [each.first for each in found] == sorted(each.first for each in found)
    assert all(each.first == each.last and each.from_source for each in found)


def test_an_observed_day_is_one_of_them() -> None:
    found = {each.first: each.label for each in public_holidays(Fill("US", None, 2026, 2026)).days_off}
    assert found[date(2026, 7, 3)] == "Independence Day (observed)"


def test_days_that_are_worked_for_others_are_copied_as_worked() -> None:
    copied = public_holidays(Fill("CN", None, 2025, 2025))
    assert copied.days_worked
    for each in copied.days_worked:
        assert each.first.isoweekday() in (6, 7)
        assert each.first.year == 2025


@pytest.mark.parametrize(("country", "weekend"), [("DE", {6, 0}), ("SA", {5, 6}), ("IR", {5})])
def test_the_weekend_is_counted_from_sunday_as_cron_does(country: str, weekend: set[int]) -> None:
    assert public_holidays(Fill(country, None, 2026, 2026)).weekend == weekend


def test_a_release_is_named() -> None:
    assert public_holidays(Fill("DE", None, 2026, 2026)).package_version[0].isdigit()


@pytest.mark.parametrize(
    ("fill", "field", "hints"),
    [
        (Fill("XX", None, 2026, 2026), "fill.country", ["two letters"]),
        (Fill("de", None, 2026, 2026), "fill.country", ["DE"]),
        (Fill("Germany", None, 2026, 2026), "fill.country", ["two letters; write 'DE'"]),
        (Fill("DEU", None, 2026, 2026), "fill.country", ["write 'DE'"]),
        (Fill("UK", None, 2026, 2026), "fill.country", ["write 'GB'"]),
        (Fill("uk", None, 2026, 2026), "fill.country", ["write 'GB'"]),
        (Fill("England", None, 2026, 2026), "fill.country", ["write 'GB'"]),
        (Fill("EL", None, 2026, 2026), "fill.country", ["write 'GR'"]),
        (Fill("Hong Kong", None, 2026, 2026), "fill.country", ["write 'HK'"]),
        (Fill("United States", None, 2026, 2026), "fill.country", ["write 'US'"]),
        (Fill("DE", "Bayern", 2026, 2026), "fill.region", ["BY"]),
        (Fill("DE", "bx", 2026, 2026), "fill.region", ["BB", "BE", "BW", "BY"]),
        (Fill("FJ", "X", 2026, 2026), "fill.region", ["leave region out"]),
        (Fill("DE", None, 2026, 2076), "fill.years", ["51 years", "50"]),
        (Fill("DE", None, 1980, 2020), "fill.years", ["1991-2100"]),
        (Fill("BV", None, 2026, 2027), "fill.years", ["2026-2027"]),
    ],
)
def test_what_is_not_known_is_refused_with_what_would_be_right(fill: Fill, field: str, hints: list[str]) -> None:
    with pytest.raises(InvalidScheduleException) as refused:
        public_holidays(fill)
    (problem,) = refused.value.errors
    assert problem.field == field
    assert all(hint in problem.message for hint in hints), problem.message


def test_a_country_is_told_its_code_by_every_name_that_the_package_has_for_it() -> None:
    from holidays import list_supported_countries
    from holidays.registry import COUNTRIES

    codes = list_supported_countries(include_aliases=False)
    for _, code, *others in COUNTRIES.values():
        assert code in codes
        for name in others:
            with pytest.raises(InvalidScheduleException, match=f"write '{code}'$"):
                public_holidays(Fill(name, None, 2026, 2026))


_WITHOUT_HOLIDAYS = {"BV", "HM", "IO", "UA"}
"""Islands that nobody lives on; and Ukraine, which works on all days while it is at war."""


def test_nearly_every_country_has_holidays_this_year() -> None:
    from holidays import list_supported_countries

    for country in list_supported_countries(include_aliases=False):
        if country in _WITHOUT_HOLIDAYS:
            continue
        copied = public_holidays(Fill(country, None, 2026, 2026))
        assert timedelta(0) <= copied.days_off[-1].last - copied.days_off[0].first < timedelta(days=366)
        assert copied.weekend < set(range(7))


def test_a_process_that_fills_no_calendar_does_not_load_the_package() -> None:
    loaded = "import sys, app.api.app, app.workers.process; print('holidays' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "False"
