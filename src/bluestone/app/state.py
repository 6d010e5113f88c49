"""Where a project's journal is: found, never mistaken for another, and moved."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.fleet.controller.chain import Head
from bluestone.fleet.controller.journal import Journal
from bluestone.fleet.controller.lease import Lease
from bluestone.fleet.controller.lock import hold
from bluestone.host.files import write_atomically
from bluestone.model.declaration import Store
from bluestone.model.problem import Problem

HERE = "journal.db"
"""The journal that is on this machine."""

ELSEWHERE = "store.json"
"""Says in which database the journal is instead, and where its password comes from."""


class State(Struct, frozen=True):
    """A project's journal: where it is, its head, and who leads or led last."""

    where: str
    head: str
    leader: Lease | None


class Move(Struct, frozen=True):
    """A journal that was carried from one place to another. `entries` is how many it has."""

    source: str
    target: str
    entries: int


def opened(project: Project) -> Journal:
    """The journal that is declared. Raises `Problem` if the project's is another one, which has to be moved first."""
    known, declared = located(project.state), project.declaration.store
    if known is not None and declared is None:
        raise Problem(
            f"the journal of {project.name} is in a database: {known.address}",
            mend=f"write that under [state] in {project.file}, or bring it to this machine: bluestone state move",
            left="nothing was done",
        )
    if declared is None:
        return wiring.journal_here(project.state / HERE)
    if known is None and (project.state / HERE).exists():
        raise Problem(
            f"the journal of {project.name} is on this machine, and a database is declared: {declared.address}",
            mend="carry it there: bluestone state move",
            left="nothing was done",
        )
    journal = wiring.journal_elsewhere(project.name, declared)
    if known is not None and known.address != declared.address and journal.head() == Head():
        journal.close()
        raise Problem(
            f"the journal of {project.name} was in {known.address}, and that in {declared.address} is empty",
            mend="carry it there: bluestone state move",
            left="nothing was done",
        )
    if known != declared:
        _remember(project, declared)
    return journal


def located(directory: Path) -> Store | None:
    """The database that a project's directory on this machine names; None if its journal is there itself."""
    try:
        return msgspec.json.decode((directory / ELSEWHERE).read_bytes(), type=Store)
    except FileNotFoundError:
        return None


def state(project: Project) -> State:
    """Where the journal is, how far it goes, and who leads."""
    journal = project.journal
    return State(_place(project, project.declaration.store), str(journal.head()), journal.lease())


def move(project: Project) -> Move | None:
    """Carry the journal to where it is declared to be; None if it is there. What is left behind is kept, renamed.

    Raises `Problem`, with nothing changed, if somebody acts on the project or there is another journal already.
    """
    known, declared = located(project.state), project.declaration.store
    if known == declared or (known is None and not (project.state / HERE).exists()):
        return None
    with (
        hold(project.lock_file),
        closing(_open(project, known)) as source,
        closing(_open(project, declared)) as target,
    ):
        leader = source.lease()
        if leader is not None and leader.left > 0:
            raise Problem(
                f"a controller leads the fleet: {leader.holder}", mend="end it first", left="nothing was moved"
            )
        if broken := source.verify():
            raise Problem(
                f"the journal is not whole: entry {broken.sequence}: {broken.why}",
                mend="docs/howto/check-the-journal.md; a journal that is not whole is not moved",
                left="nothing was moved",
            )
        with source.contents() as contents:
            target.fill(contents)
        moved = Move(_place(project, known), _place(project, declared), target.head().sequence)
    _settle(project, declared)
    return moved


def _settle(project: Project, declared: Store | None) -> None:
    """From now on the journal is where it is declared to be. The file that was left is kept under another name."""
    if declared is None:
        (project.state / ELSEWHERE).unlink(missing_ok=True)
        return
    _remember(project, declared)
    for suffix in ("", "-wal", "-shm"):
        file = project.state / f"{HERE}{suffix}"
        if file.exists():
            file.replace(project.state / f"moved-{HERE}{suffix}")


def _remember(project: Project, store: Store) -> None:
    write_atomically(project.state / ELSEWHERE, msgspec.json.encode(store))


def _open(project: Project, store: Store | None) -> Journal:
    return wiring.journal_elsewhere(project.name, store) if store else wiring.journal_here(project.state / HERE)


def _place(project: Project, store: Store | None) -> str:
    return store.address if store else str(project.state / HERE)
