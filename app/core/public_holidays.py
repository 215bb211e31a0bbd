"""The public holidays of countries, copied from the `holidays` package.

The package is imported when it is first asked: only a process that fills a calendar pays for it. Names are asked for in
English, because without a language the package would take that of the machine it happens to run on.
"""

from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from app.core.calendars import Days, Fill, Holidays
from app.core.errors import InvalidScheduleException
from app.core.occurrences.instants import quoted

if TYPE_CHECKING:
    from holidays import HolidayBase

LONGEST_LABEL = 100
MAX_YEARS = 50
_LANGUAGE = "en_US"
_ALSO_CALLED = {
    "america": "US",
    "britain": "GB",
    "czechrepublic": "CZ",
    "el": "GR",
    "england": "GB",
    "greatbritain": "GB",
    "holland": "NL",
    "korea": "KR",
    "turkiye": "TR",
    "uae": "AE",
}
"""What the package does not know that people write; `el` is what the European Union does."""
_NEAR, _REGIONS_NAMED = 8, 20


def public_holidays(asked: Fill) -> Holidays:
    """The holidays of a country or one of its regions, with the days on which others are made up for.

    Observed days are among them where the package knows of such.

    Raises:
        InvalidScheduleException: an unknown country or region, too many years, or years without a known holiday.
    """
    from holidays.version import __version__

    years = range(asked.first_year, asked.last_year + 1)
    if len(years) > MAX_YEARS:
        raise InvalidScheduleException.of("fill.years", f"fill.years: {len(years)} years; at most {MAX_YEARS} at once")
    _check_country(asked.country)
    found = _ask(asked, years)
    off = tuple(_day(day, name) for day, name in sorted(found.items()) if day.year in years)
    if not off:
        raise InvalidScheduleException.of(
            "fill.years", f"fill.years: no holiday of {asked.country} is known in {years[0]}-{years[-1]}"
        )
    worked = tuple(_day(day, None) for day in sorted(found.weekend_workdays) if day.year in years)
    # The package counts the days of the week from Monday, cron from Sunday.
    weekend = frozenset((day + 1) % 7 for day in found.weekend)
    return Holidays(off, worked, weekend, __version__)


def _ask(asked: Fill, years: range) -> "HolidayBase":
    from holidays import country_holidays

    known = country_holidays(asked.country, language=_LANGUAGE)
    if asked.region is not None and asked.region not in known.subdivisions:
        raise _no_region(asked.country, asked.region, known)
    if years[0] < known.start_year or years[-1] > known.end_year:
        raise InvalidScheduleException.of(
            "fill.years",
            f"fill.years {years[0]}-{years[-1]}: the holidays of {asked.country} are known for "
            f"{known.start_year}-{known.end_year}",
        )
    return country_holidays(asked.country, subdiv=asked.region, years=years, expand=False, language=_LANGUAGE)


def _check_country(country: str) -> None:
    from holidays import list_supported_countries

    codes = list_supported_countries(include_aliases=False)
    if country in codes:
        return
    named = "countries are named by ISO 3166-1 codes of two letters"
    meant = _codes().get(_letters(country))
    if meant is not None and meant in codes:
        raise InvalidScheduleException.of("fill.country", f"fill.country {quoted(country)}: {named}; write '{meant}'")
    near = get_close_matches(country.upper()[:3], codes, n=_NEAR, cutoff=0.5) or sorted(codes)[:_NEAR]
    raise InvalidScheduleException.of(
        "fill.country",
        f"fill.country {quoted(country)}: no country of which holidays are known; {named}, such as {', '.join(near)}",
    )


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """The code of a country by what else it is called: its name, its three letters, what people write."""
    from holidays.registry import COUNTRIES

    codes = {
        _letters(called): code
        for module, (name, code, *others) in COUNTRIES.items()
        for called in (module, name, code, *others)
    }
    return _ALSO_CALLED | codes


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.lower()))


def _no_region(country: str, region: str, known: "HolidayBase") -> InvalidScheduleException:
    by_alias = known.subdivisions_aliases.get(region)
    if by_alias is not None:
        hint = f"write '{by_alias}'"
    elif not known.subdivisions:
        hint = "it has none of which holidays are known: leave region out"
    else:
        near = get_close_matches(region.upper(), known.subdivisions, n=_NEAR, cutoff=0.3)
        codes = [*near, *(code for code in known.subdivisions if code not in near)]
        hint = f"regions are {', '.join(codes[:_REGIONS_NAMED])}" + (", …" if len(codes) > _REGIONS_NAMED else "")
    return InvalidScheduleException.of("fill.region", f"fill.region {quoted(region)}: no region of {country}; {hint}")


def _day(day: date, name: str | None) -> Days:
    label = None if name is None else name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
    return Days(day, day, label, from_source=True)
