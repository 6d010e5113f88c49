"""Who may look at what: people and programs with a token, and their roles."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What somebody is to a project."""

    READER = "reader"
    OPERATOR = "operator"


class Right(StrEnum):
    """Something that not everybody may do."""

    SEARCH = "search"
    """Look for lines, count them, follow them; see the fleet."""
    EXPORT = "export"
    """Take lines away in bulk."""
    HOLD = "hold"
    """Keep lines from being removed, and let them go again."""


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.READER: frozenset({Right.SEARCH}),
    Role.OPERATOR: frozenset(Right),
}
"""The one table of who may do what."""


class User(Struct, frozen=True):
    """Somebody by a name that is unique in a project."""

    name: str
    role: Role

    def may(self, right: Right) -> bool:
        """Whether this role has a right."""
        return right in RIGHTS[self.role]
