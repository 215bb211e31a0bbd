"""Rows as the arrays that a statement unnests."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

PART = 100
"""Rows of a caller's that one statement takes: with as much as they may hold, encoding more stops everybody else."""

T = TypeVar("T")


def parts_of(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """The rows of a batch in parts, each for a statement of its own; all of them are of one transaction."""
    return (rows[start : start + PART] for start in range(0, len(rows), PART))


def columns_of(rows: Sequence[tuple[Any, ...]]) -> list[list[Any] | None]:
    """One list a column; null for a column of nothing but nulls, which `unnest` makes of it again.

    asyncpg looks at each element of an array, and most columns of a batch are empty.
    """
    return [None if column.count(None) == len(column) else list(column) for column in zip(*rows, strict=True)]
