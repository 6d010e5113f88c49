"""Being the one who acts on a project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bluestone.app.project import Project
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.lock import hold, introduce


@contextmanager
def lead(project: Project, *, take_over: bool = False) -> Iterator[None]:
    """Be the only one on this machine, by its lock, and of all machines that share the journal, by the lease.

    Raises `Problem`, naming the other, if somebody else is. With `take_over`, a holder on another machine is fenced
    off, and what is declared here holds from now on.
    """
    # Where only this machine has the journal, whoever had the lease is gone: else the lock would not be to be had.
    gone = project.declaration.store is None
    with (
        hold(project.lock_file),
        leading(project.journal, introduce(project.home.host), take_over=take_over, gone=gone),
    ):
        yield
