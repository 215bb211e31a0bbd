"""Rows as the arrays that a statement unnests."""

from collections.abc import Sequence
from typing import Any


def columns_of(rows: Sequence[tuple[Any, ...]]) -> list[list[Any] | None]:
    """One list a column; null for a column of nothing but nulls, which `unnest` makes of it again.

    asyncpg looks at each element of an array, and most columns of a batch are empty.
    """
    return [None if column.count(None) == len(column) else list(column) for column in zip(*rows, strict=True)]
