"""Identifiers: their layout by RFC 9562, and what can be read back from them."""

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.clock import EPOCH, from_ms, to_ms, truncate_to_ms
from app.core.ids import execution_id, new_id, recorded_for

SCHEDULE = UUID("0192f3a0-0000-7000-8000-00000000c0de")
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
instants = st.datetimes(EPOCH.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC)).map(
    truncate_to_ms
)


@given(instants, instants, st.uuids(), st.integers(-(2**63), 2**63 - 1))
def test_an_execution_id_carries_when_it_was_recorded_for(
    scheduled_for: datetime, recorded: datetime, schedule_id: UUID, trigger_key: int
) -> None:
    derived = execution_id(schedule_id, scheduled_for, recorded, trigger_key)
    assert (derived.version, derived.variant) == (8, RFC_4122)
    assert derived.int >> 80 == to_ms(recorded)
    assert recorded_for(derived) == recorded
    assert derived == execution_id(UUID(str(schedule_id)), scheduled_for, recorded, trigger_key)


def test_an_execution_id_is_laid_out_as_documented() -> None:
    scheduled, recorded = from_ms(1_700_000_000_123), from_ms(1_700_000_000_456)
    digest = hashlib.blake2b(SCHEDULE.bytes + struct.pack(">qq", to_ms(scheduled), 7), digest_size=10).digest()
    first_74 = f"{int.from_bytes(digest, 'big'):080b}"[:74]
    bits = f"{1_700_000_000_456:048b}" + "1000" + first_74[:12] + "10" + first_74[12:]
    assert execution_id(SCHEDULE, scheduled, recorded, 7) == UUID(int=int(bits, 2))


def test_execution_ids_differ_by_schedule_instant_and_trigger() -> None:
    recorded = from_ms(1_700_000_000_000)
    ids = {
        execution_id(schedule, recorded + timedelta(milliseconds=ms), recorded, key)
        for schedule in (SCHEDULE, UUID(int=SCHEDULE.int + 1))
        for ms in range(100)
        for key in range(10)
    }
    assert len(ids) == 2000


@given(st.integers(0, 2**48 - 1))
def test_new_ids_are_version_7_and_sort_by_time(now_ms: int) -> None:
    drawn = new_id(now_ms)
    assert (drawn.version, drawn.variant) == (7, RFC_4122)
    assert drawn.int >> 80 == now_ms
    assert drawn != new_id(now_ms)
    if now_ms:
        assert new_id(now_ms - 1) < drawn


@pytest.mark.parametrize("version", [0, 1, 4, 7, 9, 15])
def test_only_version_8_can_be_an_execution(version: int) -> None:
    derived = execution_id(SCHEDULE, EPOCH, from_ms(1_700_000_000_000))
    other = UUID(int=derived.int & ~(0xF << 76) | version << 76)
    assert recorded_for(other) is None


@pytest.mark.parametrize("variant", [0b00, 0b01, 0b11])
def test_only_the_variant_of_the_rfc_can_be_an_execution(variant: int) -> None:
    derived = execution_id(SCHEDULE, EPOCH, from_ms(1_700_000_000_000))
    assert recorded_for(UUID(int=derived.int & ~(0b11 << 62) | variant << 62)) is None


@pytest.mark.parametrize("ms", [to_ms(LAST) + 1, 2**48 - 1])
def test_an_id_beyond_the_year_9999_is_nobodys(ms: int) -> None:
    derived = execution_id(SCHEDULE, EPOCH, LAST)
    assert recorded_for(derived) == LAST
    assert recorded_for(UUID(int=derived.int & ((1 << 80) - 1) | ms << 80)) is None


@given(st.uuids())
def test_any_id_at_all_is_read_without_an_error(anything: UUID) -> None:
    found = recorded_for(anything)
    assert found is None or EPOCH <= found <= LAST


def test_a_random_id_is_not_an_execution() -> None:
    assert recorded_for(uuid4()) is None
    assert recorded_for(UUID(int=0)) is None
    assert recorded_for(UUID(int=2**128 - 1)) is None
