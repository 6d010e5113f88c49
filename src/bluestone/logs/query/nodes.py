"""A query as a tree: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bluestone.logs.query.conditions import Condition

ANY_FIELD = "*"


@dataclass(frozen=True)
class Leaf:
    """A test of a field; of the message, or of any field (`*`)."""

    field: str
    test: Condition


@dataclass(frozen=True)
class And:
    """All of these; without any, every line."""

    parts: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Or:
    """Any of these."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """Not this."""

    part: Node


Node = Leaf | And | Or | Not


def leaves(node: Node) -> Iterator[Leaf]:
    """All tests in a query."""
    match node:
        case Leaf():
            yield node
        case Not(part):
            yield from leaves(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
