"""Being the one who acts on a project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from bluestone.app.project import Project
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.lease import LENGTH, Lease
from bluestone.fleet.controller.lock import hold, introduce

ALONE = timedelta(minutes=1)
"""How long a lease runs where only this machine has the journal: its lock decides, and nobody waits for the lease."""


@contextmanager
def lead(project: Project, *, take_over: bool = False) -> Iterator[None]:
    """Be the only one on this machine, by its lock, and of all machines that share the journal, by the lease.

    Raises `Problem`, naming the other, if somebody else is. With `take_over`, a holder on another machine is fenced
    off, and what is declared here holds from now on.
    """
    with hold(project.lock_file), lease(project, take_over=take_over):
        yield


def lease(project: Project, *, take_over: bool = False) -> AbstractContextManager[Lease]:
    """The lease alone, for one who holds the machine's lock; see `lead`."""
    me, shared = introduce(project.home.host), project.declaration.store is not None
    # Whoever had the lease of a journal on this machine has ended: else the lock would not be to be had.
    length = LENGTH if shared else ALONE
    return leading(project.journal, me, take_over=take_over, gone=not shared, length=length)
