"""`lock`: what the declaration asks for, pinned in `bluestone.lock`; and the lock that `plan`, `build` and `up` use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app import remembered, wiring
from bluestone.app.image.build import full_recipe
from bluestone.app.project import Project
from bluestone.image.archive import of_recipe
from bluestone.image.build import packages_of
from bluestone.image.inputs import inputs
from bluestone.image.lock import stored
from bluestone.image.lock.agree import disagreements, stale_inputs
from bluestone.image.lock.diff import LockDiff, diff
from bluestone.image.lock.pins import KEEP, Upgrade
from bluestone.image.lock.wanted import Wanted
from bluestone.image.provision.hooks import tools
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem

Progress = Callable[[str], None]


class Locking(Struct, frozen=True):
    """What `lock` came to. `old` is None where there was no lock; `changes` are those from it."""

    old: Lock | None
    new: Lock
    changes: LockDiff
    file: Path

    @property
    def changed(self) -> bool:
        """Whether the file is another one, or would be."""
        return self.old != self.new


def read_lock(project: Project) -> Lock | None:
    """The project's lock, or None if there is none yet. Raises `Problem` for one that is damaged."""
    return remembered.read_lock(project.lock, project.home)


def lock(
    project: Project, upgrade: Upgrade, progress: Progress, *, check: bool = False, lists: Path | None = None
) -> Locking:
    """Pin what the declaration asks for, keeping all pins that `upgrade` does not move; with `check`, write nothing.

    `lists` is where lies what the archives were just asked, if they were. Where nothing that decides packages has
    changed, no archive is asked. Raises `Problem` and `Problems`.
    """
    from bluestone.image.lock.resolve import resolve
    from bluestone.image.lock.versions import newer

    old, wanted = read_lock(project), wanted_by(project)
    if old is not None and upgrade == KEEP and not disagreements(old, wanted):
        new = replace(old, inputs=dict(wanted.inputs))
    else:
        new = resolve(wanted, wiring.images(project).packages, progress, old=old, upgrade=upgrade, lists=lists)
    changes = diff(old or replace(new, packages=(), releases=(), inputs={}, tools={}), new, newer)
    if old != new and not check:
        stored.write(project.lock, new)
    return Locking(old, new, changes, project.lock)


def settled(project: Project, progress: Progress, *, exact: bool = False) -> Lock:
    """The lock to build by: the one beside the declaration, made now if there is none.

    Where only files or hooks changed, their digests in the lock are brought up to date. With `exact`, any
    difference is refused. Raises `Problem` where lock and declaration disagree.
    """
    found = read_lock(project)
    if found is None and exact:
        raise Problem(f"there is no {project.lock.name}", mend="run `bluestone lock`, and commit what it writes")
    if found is None:
        made = lock(project, KEEP, progress).new
        progress(f"wrote {project.lock.name}: {len(made.packages)} packages")
        return made
    wanted = _agreed(project, found)
    if stale := stale_inputs(found, wanted.inputs):
        if exact:
            raise Problem(
                f"the lock has other contents of: {', '.join(stale)}",
                mend="run `bluestone lock`, and commit what it writes",
                left="nothing was done",
            )
        found = replace(found, inputs=dict(wanted.inputs))
        stored.write(project.lock, found)
    return found


def peek(project: Project) -> Lock | None:
    """The lock that `settled` would return, or None if it would have to make one. Writes nothing. Raises `Problem`."""
    found = read_lock(project)
    return None if found is None else replace(found, inputs=dict(_agreed(project, found).inputs))


def wanted_by(project: Project) -> Wanted:
    """What the declaration asks to be locked. Raises `Problem`."""
    recipe = full_recipe(project)
    return Wanted(
        base=of_recipe(recipe),
        asked=tuple(packages_of(recipe)),
        debs={deb.name: deb.path for deb in recipe.debs},
        tools=tools(recipe),
        inputs=inputs(project.declaration.recipe),
    )


def _agreed(project: Project, found: Lock) -> Wanted:
    """What is wanted. Raises `Problem` if the lock is of something else."""
    wanted = wanted_by(project)
    if reasons := disagreements(found, wanted):
        raise Problem(
            f"{project.lock.name} and {project.file.name} disagree:" + "".join(f"\n     {each}" for each in reasons),
            mend="run `bluestone lock`: it keeps all other pins",
            left="nothing was done",
        )
    return wanted
