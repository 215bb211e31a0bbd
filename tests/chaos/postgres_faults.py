"""What breaks Postgres, the way to it, and its clock."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg
import psutil

from app.embedded.postgres import EmbeddedPostgres
from tests.chaos.history import Harm
from tests.chaos.proxy import Mode
from tests.chaos.stack import Slot, Stack
from tests.chaos.target import now_ms
from tests.chaos.turning import turned


async def restart_postgres(stack: Stack, _rng: random.Random, _slot: Slot) -> None:
    await stack.postgres.restart()


async def crash_postgres(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    os.kill(stack.postgres.pid, signal.SIGQUIT)
    await stack.postgres.wait()
    await asyncio.sleep(rng.choice((0, 1, 4)))
    await stack.postgres.start()


async def kill_backend(stack: Stack, _rng: random.Random, _slot: Slot) -> None:
    """One backend is killed: Postgres ends all others, and recovers as after a crash."""
    connection = await stack.connect()
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    os.kill(pid, signal.SIGKILL)
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await connection.close(timeout=2)
    await _answering(stack)


async def _answering(stack: Stack) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await stack.execute("SELECT 1")
                return
            await asyncio.sleep(0.05)


async def terminate_backends(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    for _ in range(rng.choice((1, 1, 5))):
        await stack.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'schedule-service %'"
        )
        await asyncio.sleep(rng.uniform(0.05, 0.4))


async def freeze_postgres(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    """As a paused virtual machine; for longer than a worker may be silent, now and then."""
    with frozen(stack.postgres):
        await asyncio.sleep(rng.choice((2.0, 4.0, 17.0)))


@contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    """A Postgres of which no process gets on."""
    parent = psutil.Process(postgres.pid)
    # The parent first: it can start no more of them then.
    parent.suspend()
    processes = [parent, *parent.children(recursive=True)]
    for process in processes[1:]:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


async def slow_postgres(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    delay = rng.choice((0.02, 0.1, 0.4))
    proxies = [slot.postgres for slot in (*stack.workers, stack.api)]
    for proxy in proxies:
        proxy.delay_seconds = delay
    try:
        await asyncio.sleep(rng.uniform(2, 5))
    finally:
        for proxy in proxies:
            proxy.delay_seconds = 0


@asynccontextmanager
async def _transaction(stack: Stack) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await stack.connect()
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def lock_table(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    table = rng.choice(("executions", "workflow_schedules", "workers"))
    async with _transaction(stack) as connection:
        await connection.execute("SET LOCAL lock_timeout = '3s'")
        with suppress(asyncpg.LockNotAvailableError):
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(rng.uniform(1, 6))


async def lock_rows(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    async with _transaction(stack) as connection:
        await connection.execute(
            "SELECT FROM workflow_schedules WHERE id % 3 = $1 ORDER BY schedule_id FOR UPDATE", rng.randrange(3)
        )
        await asyncio.sleep(rng.uniform(1, 6))


async def lose_commits(stack: Stack, rng: random.Random, slot: Slot) -> None:
    """A worker's COMMIT is done and the answer lost (7a)."""
    slot.postgres.lose_answers(b"COMMIT", rng.randrange(1, 6))
    await asyncio.sleep(2)
    slot.postgres.stop_losing()


async def lose_answers(stack: Stack, rng: random.Random, slot: Slot) -> None:
    """Any statement's answer is lost: among them those that are a transaction by themselves."""
    slot.postgres.lose_answers(b"", rng.randrange(1, 6))
    await asyncio.sleep(2)
    slot.postgres.stop_losing()


async def cut_postgres(stack: Stack, rng: random.Random, slot: Slot) -> None:
    mode, seconds = rng.choice((Mode.REFUSE, Mode.BLACK_HOLE)), rng.choice((1.0, 5.0, 18.0))
    from_ms = now_ms()
    await turned([slot.postgres], mode, seconds)
    # It is buried by the others after a while, and needs a moment to get its connection back.
    stack.suffer(slot, Harm.CUT_OFF, from_ms, now_ms() + 1_000)


async def jump(stack: Stack, rng: random.Random, _slot: Slot) -> None:
    await stack.jump(rng.choice((0.4, 0.9, 3.0, 20.0, -0.3, -0.9, -2.5, -6.0)))
