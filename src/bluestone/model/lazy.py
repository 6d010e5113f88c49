"""A property that is computed when it is first asked for, and kept.

`functools.cached_property` does the same and, up to Python 3.11, takes a lock each time: that alone was a tenth of what
planning costs, where an inventory has several of them at every tick. Two threads that ask at once compute it twice, and
get equal values: owners are frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazy(Generic[T]):
    """`@lazy`, on a method of a class whose instances have a `__dict__`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
