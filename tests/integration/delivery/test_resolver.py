"""Asking the system for addresses: shared, bounded, and never held up by a name server that hangs."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app.delivery import resolver as resolving
from app.delivery.guard import Guard
from app.delivery.reply import TransportFailure, Unsendable
from app.delivery.request import Request
from app.delivery.resolver import SystemResolver
from app.delivery.transport import PooledTransport


class Library:
    """A `getaddrinfo` whose names below `hang` wait until the end of the test."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.threads: list[threading.Thread] = []
        self.released = threading.Event()
        self.called = threading.Semaphore(0)

    def __call__(self, name: str, port: None, *, type: int) -> Sequence[Any]:  # noqa: A002
        self.asked[name] += 1
        self.threads.append(threading.current_thread())
        self.called.release()
        if "hang" in name:
            self.released.wait(60)
        if name.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, type, 6, "", ("2606:4700:4700::1111", 0, 0, 0)),
            (socket.AF_INET, type, 6, "", ("93.184.216.34", 0)),
            (socket.AF_INET, type, 6, "", ("93.184.216.34", 0)),
        ]

    async def wait_called(self, times: int) -> None:
        for _ in range(times):
            assert await asyncio.to_thread(self.called.acquire, timeout=10)

    async def ended(self) -> None:
        for thread in self.threads:
            await asyncio.to_thread(thread.join, 10)


FOUND = ["2606:4700:4700::1111", "93.184.216.34"]


@pytest.fixture
def library() -> Iterator[Library]:
    library = Library()
    yield library
    library.released.set()


async def test_the_systems_own_names_are_found() -> None:
    assert "127.0.0.1" in await SystemResolver()("localhost")


async def test_addresses_come_once_and_in_their_order(library: Library) -> None:
    assert await SystemResolver(library)("a.example") == FOUND


async def test_nothing_is_read_from_a_file_once_a_resolver_is_made(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving._public_suffixes.cache_clear()
    resolver = SystemResolver(library)
    monkeypatch.delattr(resolving, "PublicSuffixList")
    assert await resolver("a.example") == FOUND


async def test_a_name_that_is_none_is_an_error_and_is_asked_for_again(library: Library) -> None:
    resolver = SystemResolver(library)
    for _ in range(2):
        with pytest.raises(OSError, match="not known"):
            await resolver("no.example")
    assert library.asked["no.example"] == 2


async def test_who_asks_for_a_name_that_is_being_asked_for_shares_the_answer(library: Library) -> None:
    resolver = SystemResolver(library)
    asking = [asyncio.create_task(resolver("hang.example")) for _ in range(50)]
    await library.wait_called(1)
    asking[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    library.released.set()
    assert await asyncio.gather(*asking[1:]) == [FOUND] * 49
    assert library.asked["hang.example"] == 1
    assert await resolver("hang.example") == FOUND
    assert library.asked["hang.example"] == 2


async def test_names_that_hang_hold_up_neither_others_nor_the_end(library: Library) -> None:
    resolver = SystemResolver(library)
    asking = [asyncio.create_task(resolver(f"a{number}.hang.example")) for number in range(500)]
    await library.wait_called(16)
    async with asyncio.timeout(5):
        for number in range(50):
            assert await resolver(f"a{number}.fine.test") == FOUND
    # As many threads as one domain may have, and all of them daemons.
    hanging = [thread for thread in library.threads if "hang" in thread.name]
    assert (len(hanging), all(thread.daemon for thread in library.threads)) == (16, True)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    library.released.set()
    # Whose callers have gone before their turn are never asked for.
    assert await resolver("b.hang.example") == FOUND
    assert sum(count for name, count in library.asked.items() if "hang" in name) == 17


async def test_names_that_hang_hold_up_nobody_elses_below_the_same_public_suffix(library: Library) -> None:
    resolver = SystemResolver(library)
    asking = [asyncio.create_task(resolver(f"hang{number}.evil.co.uk")) for number in range(40)]
    asking += [asyncio.create_task(resolver(f"hang{number}.evil.github.io")) for number in range(40)]
    await library.wait_called(32)
    async with asyncio.timeout(5):
        assert await resolver("api.shop.co.uk") == FOUND
        assert await resolver("shop.github.io") == FOUND
    assert len(library.threads) == 34
    library.released.set()
    await asyncio.gather(*asking)


async def test_who_asks_while_nobody_waits_for_the_question_any_more_is_not_cancelled_with_it(library: Library) -> None:
    resolver = SystemResolver(library)
    hanging = [asyncio.create_task(resolver(f"hang{number}.example")) for number in range(16)]
    hanging += [asyncio.create_task(resolver(f"hang{number}.one.test")) for number in range(16)]
    await library.wait_called(32)

    async def ask_again() -> Sequence[str]:
        # As a sender does whose next is for the same host: in the same turn in which it gave up.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver("a.one.test")
        return await resolver("a.one.test")

    asking = asyncio.create_task(ask_again())
    while resolver._open.get("a.one.test") is None:
        await asyncio.sleep(0)
    first = resolver._open["a.one.test"]
    while resolver._open.get("a.one.test") is first:
        await asyncio.sleep(0.001)
    library.released.set()
    assert await asking == FOUND
    await asyncio.gather(*hanging)


async def test_there_are_only_so_many_threads(library: Library) -> None:
    resolver = SystemResolver(library)
    asking = [asyncio.create_task(resolver(f"hang{number}.example{number // 16}.test")) for number in range(320)]
    asking = [asyncio.create_task(resolver(f"hang.example{number}")) for number in range(160)] + asking
    await library.wait_called(128)
    await asyncio.sleep(0.05)
    assert len(library.threads) == 128
    library.released.set()
    assert await asyncio.gather(*asking) == [FOUND] * 480


async def test_domains_that_hang_have_half_of_the_threads_together(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.delivery.resolver._HANGS_AFTER_SECONDS", 0.05)
    resolver = SystemResolver(library)
    asking = [asyncio.create_task(resolver(f"hang.evil{domain}.com")) for domain in range(12)]
    await library.wait_called(12)
    async with asyncio.timeout(5):
        while resolver._asked_of_hanging < 12:
            await asyncio.sleep(0.005)
    asking += [asyncio.create_task(resolver(f"hang{each}.evil{each % 12}.com")) for each in range(300)]
    await library.wait_called(52)
    # One that begins to hang only now has its few, and then as much as the others.
    asking += [asyncio.create_task(resolver(f"hang{each}.late.com")) for each in range(20)]
    await library.wait_called(16)
    async with asyncio.timeout(5):
        assert [await resolver(f"a{each}.fine{each}.test") for each in range(50)] == [FOUND] * 50
        while resolver._asked_of_hanging < 80:
            await asyncio.sleep(0.005)
    assert len(library.threads) == 64 + 16 + 50
    library.released.set()
    assert await asyncio.gather(*asking) == [FOUND] * 332
    # A thread knows its domain until it has ended, which is a moment after its answer.
    await library.ended()
    assert (resolver._asked, resolver._asked_of_hanging, dict(resolver._domains)) == (0, 0, {})


async def test_time_that_went_by_in_waiting_for_room_is_not_the_hosts_failure(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.delivery.resolver._QUESTIONS_OF_DOMAIN", 1)
    guard = Guard(resolver=SystemResolver(library))
    transport = PooledTransport(timeout_seconds=0.3, connections=4, user_agent="test", guard=guard)
    urls = [f"http://{name}.example.com/" for name in ("hang", "hang", "other", "another")]
    failed = await asyncio.gather(
        *(transport.send(Request("POST", url, {}, b"", trusted=False)) for url in urls), return_exceptions=True
    )
    assert [type(each) for each in failed] == [TransportFailure, TransportFailure, Unsendable, Unsendable]
    assert {str(each) for each in failed} == {
        "no connection within 0.3 s",
        "no room within 0.3 s to look up a name: too many hang",
    }
    # One that is cancelled for another reason stays so.
    waiting = asyncio.create_task(transport.send(Request("POST", urls[2], {}, b"", trusted=False)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await transport.close()


async def test_a_failure_that_nobody_waits_for_any_more_is_not_complained_of(library: Library) -> None:
    resolver = SystemResolver(library)
    asking = asyncio.create_task(resolver("no.hang.example"))
    await library.wait_called(1)
    asking.cancel()
    await asyncio.wait([asking])
    library.released.set()
    async with asyncio.timeout(5):
        while resolver._open:
            await asyncio.sleep(0.005)
