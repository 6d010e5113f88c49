"""Where a file was found. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """`path` as a component has it (`/srv/app.war!WEB-INF/lib/x.jar`); `owner` the dpkg package, if one has it."""

    path: str
    owner: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.replace("!", "/").rpartition("/")[2]

    def within(self, member: str) -> Place:
        """The place of a member of the archive that is here."""
        return Place(f"{self.path}!{member}", self.owner)
