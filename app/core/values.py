"""Values of the hot path: frozen for the type checker, and as cheap to make as Python lets them be."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, eq_default=True)
def value(cls: type[T]) -> type[T]:
    """A dataclass with slots, for values that are made for every execution.

    Only mypy holds it to be frozen. One that Python freezes too assigns each field through `object.__setattr__`, which
    makes it cost three times as much, and all of them together a tenth of a firing.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
