"""The faults: each breaks one thing for a while, mends it again, and notes what it did to whom."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.workers.signals import Point
from tests.chaos.postgres_faults import (
    crash_postgres,
    cut_postgres,
    freeze_postgres,
    jump,
    kill_backend,
    lock_rows,
    lock_table,
    lose_answers,
    lose_commits,
    restart_postgres,
    slow_postgres,
    terminate_backends,
)
from tests.chaos.process_faults import (
    freeze_api,
    freeze_past_death,
    freeze_past_the_lease,
    kill_api,
    kill_at,
    kill_worker,
    stop_worker,
)
from tests.chaos.proxy import Mode
from tests.chaos.redis_faults import (
    cut_redis,
    empty_redis,
    flush,
    freeze_redis,
    lose_entries,
    lose_redis_answers,
    redis_turned,
)
from tests.chaos.stack import Slot, Stack


@dataclass(frozen=True, slots=True)
class Fault:
    """`does` is given the stack and a generator of its own. `seconds` is about how long it takes at most.

    Two faults never touch the same of `things` at once; one that names a `worker` takes whichever is drawn.
    """

    name: str
    things: frozenset[str]
    seconds: float
    does: Callable[[Stack, random.Random, Slot], Awaitable[None]]


_WORKER, _API, _REDIS, _POSTGRES = (frozenset({thing}) for thing in ("worker", "api", "redis", "postgres"))

FAULTS: tuple[Fault, ...] = (
    Fault("worker killed", _WORKER, 5, kill_worker),
    *(Fault(f"worker killed after {point}", _WORKER, 10, kill_at(point)) for point in Point),
    Fault("worker frozen past its lease", _WORKER, 9, freeze_past_the_lease),
    Fault("worker frozen past its death", _WORKER, 21, freeze_past_death),
    Fault("worker told to stop", _WORKER, 12, stop_worker),
    Fault("api killed", _API, 5, kill_api),
    Fault("api frozen", _API, 7, freeze_api),
    Fault("redis flushed", _REDIS, 1, flush),
    Fault("redis loses entries", _REDIS, 1, lose_entries),
    Fault("redis killed, empty after", _REDIS, 5, empty_redis),
    Fault("redis frozen", _REDIS, 7, freeze_redis),
    Fault("redis black-holed", _REDIS, 7, redis_turned(Mode.BLACK_HOLE)),
    Fault("redis refuses", _REDIS, 7, redis_turned(Mode.REFUSE)),
    Fault("redis connections cut", _REDIS, 1, cut_redis),
    Fault("redis answers lost", _REDIS | _WORKER, 3, lose_redis_answers),
    Fault("postgres restarted", _POSTGRES, 5, restart_postgres),
    Fault("postgres crashed", _POSTGRES, 9, crash_postgres),
    Fault("postgres backend killed", _POSTGRES, 5, kill_backend),
    Fault("postgres backends terminated", _POSTGRES, 3, terminate_backends),
    Fault("postgres frozen", _POSTGRES, 19, freeze_postgres),
    Fault("postgres slow", _POSTGRES, 6, slow_postgres),
    Fault("postgres table locked", _POSTGRES, 9, lock_table),
    Fault("postgres rows locked", _POSTGRES, 7, lock_rows),
    Fault("postgres commits lost", _POSTGRES | _WORKER, 3, lose_commits),
    Fault("postgres answers lost", _POSTGRES | _WORKER, 3, lose_answers),
    Fault("worker cut off from postgres", _WORKER, 19, cut_postgres),
    Fault("clock jumps", _POSTGRES, 1, jump),
)
