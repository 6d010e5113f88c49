"""The journal's port: what bluestone did and saw, durable before it is acted on, and who may add to it.

Adapters are in `fleet/journals`. All of them chain their entries by digests (chain.py), and all keep to
tests/conformance/test_journals.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct, field

from bluestone.fleet.controller.chain import Break, Head, Link
from bluestone.fleet.controller.fence import Fence
from bluestone.fleet.controller.lease import Holder, Lease
from bluestone.model.event import Event
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.problem import Problem


class Entry(Struct, frozen=True):
    """An event that is about to be recorded; see `Event`."""

    kind: str
    group: str = ""
    server: str = ""
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class Unreachable(Problem):
    """The journal cannot be read or written now. Nothing is known to be wrong with the servers or the image."""


class Contents(Struct, frozen=True):
    """All of a journal, to be carried into another: entries as they are chained, and what is kept beside them."""

    links: Iterable[Link]
    generations: Sequence[Generation]
    declared: Sequence[Group]
    next_incarnation: int


class Journal(Protocol):
    """One project's journal.

    Whatever changes it is one transaction, on the disk when the call returns; if it leads (`fence`), only while
    nobody else does: else `Fenced`, with nothing changed. Any call raises `Unreachable` when the journal is.
    """

    fence: Fence
    """Whether this process leads, and whether it may still act."""

    def close(self) -> None:
        """Let go of the file or connection."""

    def record(self, at: datetime, entries: Iterable[Entry], *, incarnations: int = 0) -> None:
        """Append events, all or none, durably.

        With `incarnations`, the numbers up to and including it are never given out again.
        """

    def head(self) -> Head:
        """The last entry, by which the journal up to now is known again."""

    def verify(self, known: Head | None = None) -> Break | None:
        """The first entry that is not as it was written, None if all are. `known` is a head written down earlier."""

    def events(self, *, after: int = 0, limit: int = 1_000_000) -> list[Event]:
        """The newest `limit` events with a sequence above `after`, oldest first."""

    def last(self, kinds: Sequence[str], *, group: str = "", server: str = "") -> Event | None:
        """The newest event of one of these kinds, of a group or of a server if given."""

    def select(
        self, kinds: Sequence[str], *, group: str = "", server: str = "", after: int = 0, newest: int | None = None
    ) -> list[Event]:
        """Events of these kinds, newest first; `newest` bounds their number."""

    def newest(self, kinds: Sequence[str], servers: Sequence[str]) -> dict[str, dict[str, Event]]:
        """By server and kind, the newest event of each of these kinds, of those servers that have any."""

    def next_incarnation(self) -> int:
        """The first number that no server has had."""

    def generation(self, group: str, image: str, config: ServerConfig, *, keep: bool) -> Generation:
        """The generation of this image and configuration; a new one gets the group's next number.

        Without `keep` nothing is written: the number is the one that it would get.
        """

    def generation_number(self, group: str, number: int) -> Generation | None:
        """A generation by its number."""

    def providers(self) -> set[str]:
        """Where servers may still be: the provider of each whose creation was begun, and whose end is not recorded."""

    def declare(self, groups: Sequence[Group]) -> None:
        """Remember how these groups are declared."""

    def declared(self) -> list[Group]:
        """Every group that was ever declared and not forgotten, as it was last declared."""

    def forget_group(self, name: str) -> None:
        """Drop the declaration of a group that has no servers left. Its generations and events stay."""

    def take(self, holder: Holder, length: timedelta, *, take_over: bool = False, heir: bool = False) -> Lease:
        """Have the lease for `length` by the journal's own clock, at a new epoch. Raises `Led` (lease.refusal)."""

    def renew(self, length: timedelta) -> None:
        """Have the lease for `length` from now. Raises `Fenced` if another has taken it, even if that one ended."""

    def give_back(self) -> None:
        """End the lease, if it is still this journal's."""

    def lease(self) -> Lease | None:
        """Who leads, or led last; None if nobody ever did."""

    def contents(self) -> AbstractContextManager[Contents]:
        """All that is in the journal, as of one instant."""

    def fill(self, contents: Contents) -> None:
        """Take in all of another journal. Raises `Problem`, with nothing changed, if this one is not empty."""
