"""Zones as they are read from the package, held against zoneinfo."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import tzdata  # type: ignore[import-untyped]

from app.core.occurrences import next_occurrence, tzdata_version
from app.core.occurrences.tzif import read_tzif
from app.core.occurrences.zones import BASE, CYCLE, END, Zone, load_zone

from .brute_force import cron, offset, zone_names


def test_the_version_is_that_of_the_package() -> None:
    assert tzdata_version() == tzdata.IANA_VERSION


@pytest.mark.parametrize("name", zone_names())
def test_the_offset_is_zoneinfos_around_every_change_and_at_random(name: str) -> None:
    zone, random = load_zone(name), Random(name)
    changes = [second for second in zone.starts[1:-1] if second > -60_000_000_000]
    near = random.sample(changes, min(len(changes), 40))
    seconds = [second + shift for second in near for shift in (-1, 0)]
    seconds += [random.randrange(-60_000_000_000, 250_000_000_000) for _ in range(30)]
    seconds += [random.randrange(0, 2_145_916_800) for _ in range(60)]
    for second in seconds:
        assert zone.offset_at(second) == offset(name, second), second


@pytest.mark.parametrize(
    "name", ["America/New_York", "Europe/Dublin", "Africa/Casablanca", "Asia/Gaza", "Africa/Cairo"]
)
def test_no_change_of_a_zone_is_overlooked(name: str) -> None:
    zone = load_zone(name)
    for second in range(0, 2_145_916_800, 43_200):
        assert zone.offsets[bisect_right(zone.starts, second) - 1] == offset(name, second)


def test_the_cycle_of_four_hundred_years_has_no_seam() -> None:
    assert (datetime(2101, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() == BASE
    assert timedelta(seconds=CYCLE).days % 7 == 0
    for name in zone_names():
        zone = load_zone(name)
        assert zone.offset_at(BASE) == zone.offset_at(END - 1) == zone.offset_at(END)
        assert not any(abs(second - BASE) < 5 * 86_400 for second in zone.starts)
        assert not any(0 < END - second < 5 * 86_400 for second in zone.starts)


def test_no_wall_clock_time_that_was_skipped_is_shown_later() -> None:
    """The meaning of "once for each wall-clock time" rests on this; it holds for all clocks since 1901."""
    for name in zone_names():
        zone = load_zone(name)
        for index in range(1, len(zone.offsets)):
            start = zone.starts[index]
            if start > -(2**31):
                assert zone.fixed_floors[index] == start + zone.offsets[index - 1]


def test_nothing_is_read_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONTZPATH", "/nonexistent")
    timing = cron("0 12 * * *", "Europe/Vienna")
    assert next_occurrence(timing, datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2026, 7, 1, 10, tzinfo=UTC)

    def refuse(*_: object, **__: object) -> bytes:
        pytest.fail("a file was opened on the way of a firing")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert next_occurrence(timing, datetime(2027, 7, 1, tzinfo=UTC)) == datetime(2027, 7, 1, 10, tzinfo=UTC)


def _file(footer: bytes) -> bytes:
    header = b"TZif2" + bytes(15)
    counts = b"".join(count.to_bytes(4, "big") for count in (0, 0, 0, 0, 1, 4))
    body = (3600).to_bytes(4, "big") + bytes(2) + b"CET\x00"
    return (header + counts + body) * 2 + b"\n" + footer + b"\n"


@pytest.mark.parametrize(
    ("footer", "changes"),
    [
        (b"CET-1CEST,M3.5.0,M10.5.0/3", ["2026-03-29T01:00", "2026-10-25T01:00"]),
        (b"CET-1CEST-2,J60/0,J300/0", ["2026-02-28T23:00", "2026-10-26T22:00"]),
        (b"CET-1CEST,59/2:30,299/-1:30:15", ["2026-03-01T01:30", "2026-10-26T20:29:45"]),
        (b"<+01>-1<+02>,M3.4.4/50,M10.4.4/50", ["2026-03-28T01:00", "2026-10-24T00:00"]),
        (b"CET-1", []),
        (b"", []),
    ],
)
def test_every_form_of_a_posix_rule_is_read(footer: bytes, changes: list[str]) -> None:
    zone = Zone("Test/Zone", _file(footer))
    year = range(1_767_225_600, 1_798_761_600)
    found = [datetime.fromtimestamp(second, UTC) for second in zone.starts if second in year]
    assert found == [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in changes]


def test_days_of_a_julian_rule_leave_out_the_29_of_february() -> None:
    rule = read_tzif(_file(b"CET-1CEST,J60/1,J300/2")).rule
    assert rule is not None
    assert [datetime.fromtimestamp(second, UTC) for second, _ in rule.changes(2028)] == [
        datetime(2028, 3, 1, tzinfo=UTC), datetime(2028, 10, 27, tzinfo=UTC),
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"TZif", b"TZif1" + bytes(60), b"hello" * 20, _file(b"not a rule")])
def test_what_is_no_zone_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a"):
        read_tzif(content)
