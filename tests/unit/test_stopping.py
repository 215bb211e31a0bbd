"""When a worker hurries and when it has to be gone, from one signal, two, or more."""

import asyncio

import pytest

from app.workers import stopping
from app.workers.stopping import Stopping

_BEYOND_SECONDS = 0.2


@pytest.fixture(autouse=True)
def beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "BEYOND_GRACE_SECONDS", _BEYOND_SECONDS)


def _never() -> None:
    raise AssertionError("cut although there is time")


async def test_after_its_grace_and_a_moment_postgres_is_not_waited_for() -> None:
    told: list[str] = []
    end = Stopping(0.1, lambda: told.append("cut" if not end.hurried.is_set() else "too late to cut"))
    begun_at = asyncio.get_running_loop().time()
    end.stop()
    assert end.begun.is_set()
    assert not end.hurried.is_set()
    async with asyncio.timeout(5):
        await end.too_late.wait()
    assert asyncio.get_running_loop().time() - begun_at >= 0.1 + _BEYOND_SECONDS - 0.01
    assert end.hurried.is_set()
    assert told == ["cut"], "what is cancelled first waits for Postgres"


async def test_a_second_signal_leaves_but_the_moment_and_a_third_does_not_prolong_it() -> None:
    cuts: list[float] = []
    loop = asyncio.get_running_loop()
    end = Stopping(600, lambda: cuts.append(loop.time()))
    end.stop()
    end.stop()
    hurried_at = loop.time()
    assert end.hurried.is_set()
    async with asyncio.timeout(5):
        while not end.too_late.is_set():
            end.stop()
            await asyncio.sleep(0.01)
    (cut_at,) = cuts
    assert cut_at - hurried_at >= _BEYOND_SECONDS - 0.01


async def test_who_has_ended_is_not_cut() -> None:
    end = Stopping(0, _never)
    end.stop()
    end.close()
    await asyncio.sleep(2 * _BEYOND_SECONDS)
    assert not end.too_late.is_set()


async def test_who_was_not_told_to_stop_has_all_the_time() -> None:
    end = Stopping(0, _never)
    await asyncio.sleep(2 * _BEYOND_SECONDS)
    assert not end.begun.is_set()
    end.close()
