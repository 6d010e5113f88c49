"""Whether a lock is what the declaration asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bluestone.image.inputs import ARCHIVE_KEY, DEB
from bluestone.image.lock.wanted import Wanted
from bluestone.model.lock import Lock


def disagreements(lock: Lock, wanted: Wanted) -> list[str]:
    """Why the lock's packages are not those that are wanted, a sentence each; empty if they are.

    Files and hooks (`stale_inputs`) decide no package, and are no reason.
    """
    return list(_disagreements(lock, wanted))


def stale_inputs(lock: Lock, inputs: Mapping[str, str]) -> list[str]:
    """The keys of the declaration whose files are not those that the lock has, sorted."""
    return sorted(key for key in {*lock.inputs, *inputs} if lock.inputs.get(key) != inputs.get(key))


def _disagreements(lock: Lock, wanted: Wanted) -> Iterator[str]:
    if lock.base != wanted.name:
        yield f"the lock is of {lock.base}, and the declaration of {wanted.name}"
    if lock.architecture != wanted.base.architecture:
        yield f"the lock is of {lock.architecture}, and this machine {wanted.base.architecture}"
    yield from _sets("packages", lock.asked, wanted.asked)
    declared = {(source.archive, source.suite) for source in wanted.base.sources}
    locked = {(release.archive, release.suite) for release in lock.releases}
    yield from _sets("suites", (" ".join(each) for each in locked), (" ".join(each) for each in declared))
    deciding = [key for key in stale_inputs(lock, wanted.inputs) if key.startswith((ARCHIVE_KEY, DEB))]
    if deciding:
        yield f"{', '.join(deciding)} {'is' if len(deciding) == 1 else 'are'} not what was locked"
    yield from _sets("tools", lock.tools, wanted.tools)


def _sets(what: str, locked: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    locked, wanted = {*locked}, {*wanted}
    if missing := sorted(wanted - locked):
        yield f"the lock lacks {what} that are asked for: {', '.join(missing)}"
    if surplus := sorted(locked - wanted):
        yield f"the lock has {what} that are not asked for: {', '.join(surplus)}"
