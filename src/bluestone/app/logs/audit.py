"""`logs audit` and last words: what of a server's lines is here, and what it said last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.project import Project
from bluestone.logs.audit import Account, Gap, account
from bluestone.logs.query.archive import Archive, Writer
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.seals import LINES, Seal, Seals
from bluestone.model.problem import Problem
from bluestone.model.record import Identity, Record


class Audited(Struct, frozen=True):
    """A server with the account of its lines. `ended`: it is gone, and can send no more.

    `removed`: what is missing was here, and went by the rules for how long lines are kept.
    """

    identity: Identity
    ended: bool
    account: Account
    removed: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that should be here."""
        return self.removed or self.account.complete(ended=self.ended)


def audit(project: Project, target: str | None) -> Iterator[Audited]:
    """Each server that ever had a credential (of a group, or the one of that name), by name. Raises `Problem`."""
    keeping = project.declaration.logs
    with closing(Archive(project.logs)) as archive, closing(Credentials(project.logs)) as credentials:
        for writer in _aim(archive, target):
            server = writer.identity.server
            ended = not credentials.admitted(server)  # asked first: what it sent before that is here
            found = account(archive.counted(server))
            if not found.numbered and writer.goodbye:  # not even its goodbye is here, and yet it came
                gap = Gap(1, writer.goodbye)
                found = replace(found, last=writer.goodbye, gaps=(gap,), goodbye=writer.goodbye)
            # Only where rules remove lines is the count trusted of those that arrived; damage is no rule.
            ruled = keeping.keep or keeping.size or writer.identity.group in keeping.groups
            whole = ruled and not archive.damaged and _all_arrived(writer, found, ended=ended)
            yield Audited(writer.identity, ended, found, removed=bool(whole and found.found < writer.lines))


def _all_arrived(writer: Writer, found: Account, *, ended: bool) -> bool:
    """Whether as many lines arrived as there were, and none twice."""
    known_end = writer.goodbye is not None or not ended
    return known_end and not found.twice and writer.lines >= max(found.last, writer.goodbye or 0) > 0


def last_words(project: Project, server: str) -> Seal:
    """What a server said last, as it was sealed at its end; sealed now if that was missed. Raises `Problem`."""
    seals = Seals(seals_of(project.logs))
    if found := seals.read(server):
        return found
    with closing(Archive(project.logs)) as archive:
        _aim(archive, server, groups=False)
    with closing(Credentials(project.logs)) as credentials:
        if credentials.admitted(server):
            raise Problem(
                f"{server} still runs: its last words are not said yet",
                mend=f"see what it says: bluestone logs {server}",
            )
    return seal(project.logs, server)


def seal(logs: Path, server: str) -> Seal:
    """Seal the last lines of a server that can send no more. Idempotent. Raises `Problem`."""
    with closing(Archive(logs)) as archive:
        (writer,) = _aim(archive, server, groups=False)
        return _seal(logs, writer, archive.last_lines(server, LINES))


def seal_all(logs: Path, servers: Collection[str]) -> None:
    """Seal the last lines of these servers, which can send no more, unless they never could. Raises `Problem`."""
    with closing(Archive(logs)) as archive:
        writers = [writer for writer in archive.writers() if writer.identity.server in servers]
        ends = archive.endings([writer.identity.server for writer in writers], LINES)
        for writer in writers:
            _seal(logs, writer, ends[writer.identity.server])


def _seal(logs: Path, writer: Writer, said: Sequence[Record]) -> Seal:
    return Seals(seals_of(logs)).seal(writer.identity, said, writer.lines, writer.goodbye, datetime.now(UTC))


def check_seals(project: Project) -> tuple[int, str]:
    """How many seals there are, all of them whole, and the digest of the last. Raises `Problem`."""
    return Seals(seals_of(project.logs)).check()


def seals_of(logs: Path) -> Path:
    """Where the seals of a log store are."""
    return logs / "last-words"


def _aim(archive: Archive, target: str | None, *, groups: bool = True) -> list[Writer]:
    writers = list(archive.writers())
    found = [each for each in writers if target in (None, each.identity.server)]
    if not found and groups:
        found = [each for each in writers if each.identity.group == target]
    if not found and target is not None:
        names = [each.identity.server for each in writers] + (
            [each.identity.group for each in writers] if groups else []
        )
        near = get_close_matches(target, names, n=3)
        raise Problem(
            f'no {"group or " if groups else ""}server is called "{target}", nor ever was',
            mend=f"did you mean {' or '.join(near)}?" if near else "see `bluestone servers` and `bluestone events`",
        )
    return found
