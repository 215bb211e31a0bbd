"""Targets as they stand in rows: what was decoded is remembered, and costs no more memory than it may."""

import tracemalloc

from app.core.sealing import Sealed
from app.core.target import LONGEST_HEADER, MOST_HEADERS, Target
from app.store.target_columns import target_of, target_text


def test_the_largest_targets_are_not_remembered() -> None:
    headers = {f"X-{number}": Sealed("x" * LONGEST_HEADER) for number in range(MOST_HEADERS)}
    tracemalloc.start()
    try:
        for number in range(50):
            target = Target(f"https://hooks.example/{number}", headers=headers)
            assert target_of(target_text("target", target)) == target
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5_000_000


def test_what_fires_often_is_decoded_once() -> None:
    encoded = target_text("target", Target("https://hooks.example/run", headers={"X": Sealed("x" * 500)}))
    assert target_of(encoded) is target_of(encoded)
    assert target_of(None) is None
