"""A query as a tree: pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from bluestone.logs.query.conditions import Condition

ANY_FIELD = "*"


class Leaf(Struct, frozen=True):
    """A test of a field; of the message, or of any field (`*`)."""

    field: str
    test: Condition


class And(Struct, frozen=True):
    """All of these; without any, every line."""

    parts: tuple[Node, ...] = ()


class Or(Struct, frozen=True):
    """Any of these."""

    parts: tuple[Node, ...]


class Not(Struct, frozen=True):
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
