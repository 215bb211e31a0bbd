"""How a schedule's own targets stand in its row."""

from functools import lru_cache

import orjson

from app.core.sealing import Sealed
from app.core.target import Method, Target
from app.store.refusals import json_text

_REMEMBERED_CHARACTERS = 4096
"""Longer ones are decoded each time: a thousand of half a megabyte, which headers alone may have, would be too much."""


def target_text(field: str, target: Target | None) -> str | None:
    """The column of that name; null for none.

    Raises InvalidScheduleException for a body that cannot be stored.
    """
    if target is None:
        return None
    return json_text(
        field,
        {
            "url": target.url,
            "method": target.method.value,
            "headers": {name: sealed.stored for name, sealed in target.headers.items()},
            "body": target.body,
            "cancel_url": target.cancel_url,
        },
    )


def target_of(encoded: str | None) -> Target | None:
    """The value of the column."""
    if encoded is None:
        return None
    return _target(encoded) if len(encoded) <= _REMEMBERED_CHARACTERS else _target.__wrapped__(encoded)


# Many schedules have one of their own: remembered are those that fire often.
@lru_cache(maxsize=1024)
def _target(encoded: str) -> Target:
    stored = orjson.loads(encoded)
    return Target(
        url=stored["url"],
        method=Method(stored["method"]),
        headers={name: Sealed(value) for name, value in stored["headers"].items()},
        body=stored["body"],
        cancel_url=stored["cancel_url"],
    )
