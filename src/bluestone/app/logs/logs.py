"""`logs`: lines of servers, whether these exist or not; found, counted and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.logs.moments import parse_moment
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem
from bluestone.model.record import Record

if TYPE_CHECKING:
    from bluestone.logs.backend import Arriving, Backend
    from bluestone.logs.query.asked import Query
    from bluestone.logs.query.patterns import Comparison, Profile
    from bluestone.logs.query.statistics import Histogram, Top

INSTANT = timedelta(microseconds=1)


class Asked(Struct, frozen=True):
    """What a person asks for, in their words. `target` is a group or a server, or a query if no name could be that."""

    target: str | None = None
    query: str = ""
    since: str | None = None
    until: str | None = None
    grep: str | None = None
    severity: str | None = None
    limit: int | None = None


class Reading:
    """The store of a project, open to be asked."""

    def __init__(self, project: Project, backend: Backend, asked: Asked) -> None:
        self._backend = backend
        self.query = _query(project, backend, asked)

    @property
    def damaged(self) -> list[str]:
        """Files that could not be read while it was asked."""
        return sorted(set(self._backend.damaged))

    def lines(self, *, follow: bool = False) -> Iterator[Record]:
        """The newest lines, the oldest first; with `follow`, then each line as it arrives, without end."""
        yield from self._backend.follow(self.query) if follow else self._backend.search(self.query)

    def search(self, query: Query) -> Iterator[Record]:
        """What another query finds, the oldest first. Raises `Problem`."""
        yield from self._backend.search(query)

    def arrivals(self, after: str | None = None) -> Arriving:
        """What arrives from now on, or arrived since a position. Raises `Problem`."""
        return self._backend.arrivals(replace(self.query, limit=None), after)

    def with_context(self, count: int) -> Iterator[list[tuple[Record, bool]]]:
        """Stretches of lines around those that are found, of the same server; and whether each is itself found."""
        found = list(self._backend.search(self.query))
        stretches: dict[str, dict[tuple[datetime, str], tuple[Record, bool]]] = {}
        for record in found:
            server = record.identity.server
            around = {(near.at, near.cursor): (near, False) for near in self.around(record, count)}
            stretch = stretches.get(server)
            if stretch is not None and not stretch.keys().isdisjoint(around):
                around = {**around, **stretch}
            elif stretch is not None:
                yield _ordered(stretch)
            around[record.at, record.cursor] = (record, True)
            stretches[server] = around
        yield from map(_ordered, stretches.values())

    def histogram(self, step: timedelta | None = None) -> Histogram:
        """Found lines over time."""
        return self._backend.histogram(replace(self.query, limit=None), step)

    def top(self, field: str, count: int) -> Top:
        """The values of a field that most of the found lines have."""
        return self._backend.top(replace(self.query, limit=None), field, count)

    def generations(self, old: int | None, new: int | None) -> tuple[int, int, Profile, Profile, Comparison]:
        """What a group's newer generation says that the older one did not. Raises `Problem` if there is only one."""
        from bluestone.logs.query.conditions import Exact
        from bluestone.logs.query.nodes import And, Leaf
        from bluestone.logs.query.patterns import Profile, compared

        if self.query.group is None:
            raise Problem("generations are those of a group", mend="name it: bluestone logs GROUP --diff-generation")
        there = sorted({w.identity.generation for w in self._backend.writers() if w.identity.group == self.query.group})
        new = new if new is not None else (there[-1] if there else 0)
        before = [number for number in there if number < new]
        old = old if old is not None else (before[-1] if before else 0)
        if old not in there or new not in there:
            has = ", ".join(map(str, there)) or "none"
            raise Problem(
                f"the group {self.query.group} has no lines of two such generations; it has: {has}",
                mend="name two of them: --diff-generation OLD:NEW",
            )

        def profile(number: int) -> Profile:
            only = And((self.query.where, Leaf("generation", Exact(str(number)))))
            asked: Query = replace(self.query, where=only, limit=None)
            found = Profile()
            for record in self._backend.search(asked):
                found.add(record.message, record.severity)
            return found

        profiles = profile(old), profile(new)
        return old, new, *profiles, compared(*profiles)

    def around(self, record: Record, count: int) -> Iterator[Record]:
        """The lines of its server before and after one, itself among them, some of them twice."""
        from bluestone.logs.query.asked import Query

        server = record.identity.server
        yield from self._backend.search(Query(server=server, until=record.at + INSTANT, limit=count + 1))
        yield from self._backend.search(Query(server=server, since=record.at, limit=count + 1, newest=False))


@contextmanager
def reading(project: Project, asked: Asked) -> Iterator[Reading]:
    """Open a project's store to ask it. Raises `Problem` for a name that nobody has had, or a query that is none."""
    with closing(wiring.log_backend(project)) as backend:
        yield Reading(project, backend, asked)


def _ordered(stretch: dict[tuple[datetime, str], tuple[Record, bool]]) -> list[tuple[Record, bool]]:
    return [stretch[place] for place in sorted(stretch)]


def _query(project: Project, backend: Backend, asked: Asked) -> Query:
    """A query in a person's words (`15m ago`, `today`), in the person's time zone. Raises `Problem`."""
    from bluestone.logs.ingest.lines import SEVERITIES
    from bluestone.logs.query.asked import MILDEST, Query
    from bluestone.logs.query.language import parse_query

    now = datetime.now().astimezone()
    if asked.severity is not None and asked.severity.lower() not in SEVERITIES:
        raise Problem(
            f'"{asked.severity}" is not a severity', mend="say error, warning, notice, info or debug, or 0 to 7"
        )
    target, text = asked.target, asked.query
    if target and not NAME.fullmatch(target):
        target, text = None, f"{target} {text}".strip()
    query = Query(
        since=parse_moment(asked.since, now) if asked.since else None,
        until=parse_moment(asked.until, now) if asked.until else None,
        grep=asked.grep,
        severity=SEVERITIES[asked.severity.lower()] if asked.severity else MILDEST,
        limit=asked.limit,
        where=parse_query(text),
    )
    return _aimed(project, backend, target, query) if target else query


def _aimed(project: Project, backend: Backend, target: str, query: Query) -> Query:
    """The query, for the group or the server of this name."""
    identities = [writer.identity for writer in backend.writers()]
    groups = {identity.group for identity in identities} | {group.name for group in project.groups}
    servers = {identity.server for identity in identities}
    if target in groups:
        return replace(query, group=target)
    if target in servers:
        return replace(query, server=target)
    near = get_close_matches(target, [*groups, *servers], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"groups: {', '.join(sorted(groups))}"
    raise Problem(
        f'no group or server is called "{target}", nor ever was',
        mend=f"{hint}; to look for the word: bluestone logs --query {target}",
    )


def generations_asked(text: str) -> tuple[int | None, int | None]:
    """`OLD:NEW`, or empty for the newest against the one before. Raises `Problem`."""
    if not text:
        return None, None
    if not (found := re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)):
        raise Problem(f'"{text}" does not name two generations', mend="write OLD:NEW, such as 4:5")
    return int(found[1]), int(found[2])
