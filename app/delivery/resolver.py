"""Asking for the addresses of a name, so that a name whose servers hang keeps nobody from asking for another."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from math import inf
from typing import Any, Protocol
from weakref import WeakValueDictionary

from publicsuffixlist import PublicSuffixList

_QUESTIONS = 128
_QUESTIONS_OF_DOMAIN = 16
_QUESTIONS_OF_HANGING = 64
_HANGS_AFTER_SECONDS = 2.0


class Resolver(Protocol):
    """Asks for the addresses of a name."""

    async def __call__(self, name: str, /) -> Sequence[str]:
        """All its addresses, as text, in the order in which they are to be tried.

        Raises OSError where there is none. Who does not want to wait any longer cancels.
        """
        ...


class NoRoom(Exception):
    """The cause of a cancellation that ended a wait for room to ask, and not for an answer."""

    @classmethod
    def caused(cls, late: TimeoutError) -> bool:
        """Whether that is what the time of an `asyncio.timeout` went by with: it says nothing of the name."""
        cancelled = late.__cause__
        return cancelled is not None and isinstance(cancelled.__cause__, cls)


class SystemResolver:
    """Asks the C library, as every program of this machine does: /etc/hosts counts.

    It cannot be told to stop, and where a server is silent it waits for many seconds. So each question has a thread of
    its own, for whose end nothing waits; who asks for a name that is just being asked for shares the answer; and of
    these threads there are at any time only so many, and only a few for all the names below one that somebody has
    registered, because whoever that is can make all of them hang. Where he does, by more than one such name, all names
    below these have half of the threads together.
    """

    def __init__(self, lookup: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        _public_suffixes()  # now: to read them would hold up whatever is due beside the first question
        self._lookup = lookup
        self._open: dict[str, _Question] = {}
        self._domains: WeakValueDictionary[str, _Domain] = WeakValueDictionary()
        self._asked = self._asked_of_hanging = 0
        self._waiting: dict[_Question, asyncio.Future[None]] = {}

    async def __call__(self, name: str) -> Sequence[str]:
        question = self._open.get(name)
        if question is None:
            question = self._open[name] = _Question(name, self._domain(name), self._lookup)
            question.task = asyncio.create_task(self._ask(question), name="resolve")
            question.task.add_done_callback(self._close(question))
        loop = asyncio.get_running_loop()
        began = loop.time()
        question.waiting += 1
        try:
            # One who does not wait any longer must not end it for the others.
            return await asyncio.shield(question.task)
        except asyncio.CancelledError:
            now = loop.time()
            if min(question.asked_at, now) - began > (now - began) / 2:
                raise asyncio.CancelledError from NoRoom()
            raise
        finally:
            question.waiting -= 1
            if not question.waiting and not question.asked:
                # Not only once it has ended: who asks in that moment must not be cancelled with it.
                self._forget(question)
                question.task.cancel()

    def _domain(self, name: str) -> "_Domain":
        registered = _registered(name)
        domain = self._domains.get(registered)
        if domain is None:
            domain = self._domains[registered] = _Domain()
        return domain

    async def _ask(self, question: "_Question") -> Sequence[str]:
        try:
            if self._has_room(question.domain):
                self._begin(question)
            else:
                turn = self._waiting[question] = asyncio.get_running_loop().create_future()
                await turn
            return await question.ask()
        finally:
            self._waiting.pop(question, None)
            if question.asked:
                self._end(question)

    def _has_room(self, domain: "_Domain") -> bool:
        return (
            self._asked < _QUESTIONS
            and domain.asked < _QUESTIONS_OF_DOMAIN
            and (not domain.hanging or self._asked_of_hanging < _QUESTIONS_OF_HANGING)
        )

    def _begin(self, question: "_Question") -> None:
        loop, domain = asyncio.get_running_loop(), question.domain
        question.asked_at = loop.time()
        question.until_it_hangs = loop.call_later(_HANGS_AFTER_SECONDS, self._note_hanging, question)
        self._asked += 1
        domain.asked += 1
        if domain.hanging:
            self._asked_of_hanging += 1

    def _note_hanging(self, question: "_Question") -> None:
        question.until_it_hangs, domain = None, question.domain
        domain.hanging += 1
        if domain.hanging == 1:
            self._asked_of_hanging += domain.asked

    def _end(self, question: "_Question") -> None:
        domain = question.domain
        self._asked -= 1
        domain.asked -= 1
        if domain.hanging:
            self._asked_of_hanging -= 1
        if question.until_it_hangs is not None:
            question.until_it_hangs.cancel()
        else:
            domain.hanging -= 1
            if not domain.hanging:
                self._asked_of_hanging -= domain.asked
        for waiting, turn in list(self._waiting.items()):
            if self._has_room(waiting.domain) and not turn.done():
                del self._waiting[waiting]
                self._begin(waiting)
                turn.set_result(None)

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


class _Domain:
    """What somebody has registered: how many names below it are being asked for, and how many have been for long."""

    __slots__ = ("__weakref__", "asked", "hanging")

    def __init__(self) -> None:
        self.asked = self.hanging = 0


class _Question:
    """A name that is to be asked for, and how many wait for the answer."""

    task: "asyncio.Task[Sequence[str]]"

    def __init__(self, name: str, domain: _Domain, lookup: Callable[..., Sequence[Any]]) -> None:
        self.name = name
        self.domain = domain
        self.waiting = 0
        self.asked_at = inf
        self.until_it_hangs: asyncio.TimerHandle | None = None
        self._lookup = lookup

    @property
    def asked(self) -> bool:
        """Whether it has a thread, or is about to have one."""
        return self.asked_at < inf

    async def ask(self) -> Sequence[str]:
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
