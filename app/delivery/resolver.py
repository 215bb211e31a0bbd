"""Asking for the addresses of a name, so that a name whose servers hang keeps nobody from asking for another."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol
from weakref import WeakValueDictionary

from publicsuffixlist import PublicSuffixList

_QUESTIONS = 128
_QUESTIONS_OF_DOMAIN = 16


class Resolver(Protocol):
    """Asks for the addresses of a name."""

    async def __call__(self, name: str, /) -> Sequence[str]:
        """All its addresses, as text, in the order in which they are to be tried.

        Raises OSError where there is none. Who does not want to wait any longer cancels.
        """
        ...


class SystemResolver:
    """Asks the C library, as every program of this machine does: /etc/hosts counts.

    It cannot be told to stop, and where a server is silent it waits for many seconds. So each question has a thread of
    its own, for whose end nothing waits; who asks for a name that is just being asked for shares the answer; and of
    these threads there are at any time only so many, and only a few for all the names below one that somebody has
    registered, because whoever that is can make all of them hang.
    """

    def __init__(self, lookup: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._open: dict[str, _Question] = {}
        self._room = asyncio.Semaphore(_QUESTIONS)
        self._room_of_domain: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def __call__(self, name: str) -> Sequence[str]:
        question = self._open.get(name)
        if question is None:
            question = self._open[name] = _Question(name, self._lookup)
            question.task = asyncio.create_task(self._ask(question), name="resolve")
            question.task.add_done_callback(self._close(question))
        question.waiting += 1
        try:
            # One who does not wait any longer must not end it for the others.
            return await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting and not question.asked:
                # Not only once it has ended: who asks in that moment must not be cancelled with it.
                self._forget(question)
                question.task.cancel()

    async def _ask(self, question: "_Question") -> Sequence[str]:
        domain = _registered(question.name)
        room_of_domain = self._room_of_domain.get(domain)
        if room_of_domain is None:
            room_of_domain = self._room_of_domain[domain] = asyncio.Semaphore(_QUESTIONS_OF_DOMAIN)
        async with room_of_domain, self._room:
            return await question.ask()

    def _close(self, question: "_Question") -> Callable[["asyncio.Task[Sequence[str]]"], None]:
        def close(task: "asyncio.Task[Sequence[str]]") -> None:
            self._forget(question)
            if not task.cancelled():
                task.exception()  # nobody may be left to hear of it

        return close

    def _forget(self, question: "_Question") -> None:
        if self._open.get(question.name) is question:
            del self._open[question.name]


def _registered(name: str) -> str:
    """The part of a name that somebody has registered: below a public suffix, as `co.uk` is, everybody has another."""
    return _public_suffixes().privatesuffix(name.rstrip(".").lower()) or name


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


class _Question:
    """A name that is being asked for, and how many wait for the answer."""

    task: "asyncio.Task[Sequence[str]]"

    def __init__(self, name: str, lookup: Callable[..., Sequence[Any]]) -> None:
        self.name = name
        self.waiting = 0
        self.asked = False
        self._lookup = lookup

    async def ask(self) -> Sequence[str]:
        self.asked = True
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Sequence[str]] = self._loop.create_future()
        try:
            # A daemon: the end of the process does not wait for it, as it would for one of an executor.
            threading.Thread(target=self._look_up, name=f"resolve {self.name}", daemon=True).start()
        except RuntimeError as refused:
            raise OSError(f"no thread to resolve with: {refused}") from refused
        return await self._answer

    def _look_up(self) -> None:
        addresses: list[str] = []
        error: Exception | None = None
        try:
            found = self._lookup(self.name, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        except Exception as failed:
            error = failed
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._tell, addresses, error)

    def _tell(self, addresses: list[str], error: Exception | None) -> None:
        if self._answer.done():
            return
        if error is None:
            self._answer.set_result(addresses)
        else:
            self._answer.set_exception(error)
