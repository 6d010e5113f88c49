"""`logs`: lines of servers, whether these exist or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches

from bluestone.app.project import Project
from bluestone.logs.moments import parse_moment
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.model.problem import Problem
from bluestone.model.record import Record


def read_lines(project: Project, target: str | None, query: Query, *, follow: bool) -> Iterator[Record]:
    """The newest `query.limit` lines of a group or server (of all, if None), the oldest first.

    With `follow`, then each line as it arrives, without end. Raises `Problem` for a name that nobody has had.
    """
    with closing(Archive(project.logs)) as archive:
        asked = _aim(project, archive, target, query)
        yield from archive.follow(asked) if follow else archive.search(asked)


def asked(since: str | None, until: str | None, grep: str | None, limit: int) -> Query:
    """A query in a person's words (`15m ago`, `today`), in the person's time zone. Raises `Problem`."""
    now = datetime.now().astimezone()
    return Query(
        since=parse_moment(since, now) if since else None,
        until=parse_moment(until, now) if until else None,
        grep=grep,
        limit=limit,
    )


def _aim(project: Project, archive: Archive, target: str | None, query: Query) -> Query:
    """The query, for the group or the server of this name."""
    if target is None:
        return query
    identities = [writer.identity for writer in archive.writers()]
    groups = {identity.group for identity in identities} | {group.name for group in project.groups}
    servers = {identity.server for identity in identities}
    if target in groups:
        return replace(query, group=target)
    if target in servers:
        return replace(query, server=target)
    near = get_close_matches(target, [*groups, *servers], n=3)
    raise Problem(
        f'no group or server is called "{target}", nor ever was',
        mend=f"did you mean {' or '.join(near)}?" if near else f"groups: {', '.join(sorted(groups))}",
    )
