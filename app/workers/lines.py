"""The lines in which what is claimed waits to be recorded."""

import asyncio

from app.wheel.answers import Claimed

Batch = list[Claimed]


class Line:
    """Batches, in the order in which they were claimed; `places` of them at most, 0 for no bound."""

    def __init__(self, *, places: int) -> None:
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(maxsize=places)

    @property
    def full(self) -> bool:
        """Whether there is no place for another: the back-pressure."""
        return self._queue.full()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    async def put(self, batch: Batch) -> None:
        """Stand in line, as soon as there is place."""
        await self._queue.put(batch)

    def put_at_once(self, batch: Batch) -> None:
        """Stand in line.

        Raises asyncio.QueueFull.
        """
        self._queue.put_nowait(batch)

    async def get(self) -> Batch:
        """Whose turn it is; whoever takes it says when it is `done`."""
        return await self._queue.get()

    def done(self) -> None:
        """One that was taken has been recorded."""
        self._queue.task_done()

    async def join(self) -> None:
        """Wait until everything has been recorded."""
        await self._queue.join()


class LineOfFew(Line):
    """The line of what little is due beside a crowd, which has no bound but the room for it."""

    def __init__(self) -> None:
        super().__init__(places=0)

    async def get(self) -> Batch:
        """All that waits, as one: it shares a transaction, which costs as much, however little it is of."""
        whole = await super().get()
        while not self.empty:
            whole = whole + self._queue.get_nowait()
            # From here on it is a part of the one.
            self.done()
        return whole
