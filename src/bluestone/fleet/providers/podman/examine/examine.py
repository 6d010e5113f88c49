"""What running containers are like inside, found out from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bluestone.fleet.providers.podman.examine import files, logins, processes, units
from bluestone.fleet.providers.podman.examine.logins import WAYS, PodmanEvent
from bluestone.fleet.providers.podman.examine.mounts import root_of, unexpected
from bluestone.fleet.providers.podman.examine.processes import Init, Inside
from bluestone.fleet.providers.podman.labels import IMAGE, Container, server_name
from bluestone.model.drift import ASPECTS, Examination, FailedUnit, FileChange, Login, PackageChange, Unseen
from bluestone.model.ids import Digest
from bluestone.model.path import shown
from bluestone.model.problem import Problem

LATE = timedelta(seconds=10)
"""How much later than its creation a container's start may be noted, so that its events count as kept from then on."""

UNKNOWN = tuple(
    Unseen(aspect, "its processes cannot be told from others: its control group does not bear its id")
    for aspect in ASPECTS
    if aspect != "clock"
)
"""What is not seen of a container where podman makes no control groups: without root, where none were delegated."""


class Examiner(Struct, frozen=True):
    """Looks at containers of a project.

    `locate_root` gives the tree of an image, `read_packages` reads dpkg's list of what is installed, `run` calls podman
    (and raises `Problem`).
    """

    project: str
    locate_root: Callable[[Digest], Path]
    read_packages: files.ReadPackages
    run: Callable[[Sequence[str]], str]

    def examine(self, containers: Sequence[Container]) -> list[Examination]:
        """Look at running containers, each with its init's `pid`; those that have ended since are left out."""
        now = datetime.now(UTC)
        came, unseen = find_logins(self.project, containers, now, self.run)
        inits = {c.identifier: init for c in containers if (init := _init(c)) is not None}
        inside = processes.scan(inits)
        found = []
        for container in containers:
            init = inits.get(container.identifier)
            if init is None and not processes.lives(container.pid):
                continue
            name = container.names[0]
            base = Examination(server_name(container), now, logins=came.get(name, ()), unseen=unseen.get(name, ()))
            if init is None:
                found.append(replace(base, clock=0.0, unseen=(*base.unseen, *UNKNOWN)))
            else:
                found.append(self._look(base, container, init, inside[container.identifier]))
        return found

    def _look(self, base: Examination, container: Container, init: Init, inside: Inside) -> Examination:
        """Add to what is known of a container's logins all that can be seen of it."""
        lower = self.locate_root(Digest((container.labels or {})[IMAGE]))
        changed, packages, unread = find_changes(container, init, lower, self.read_packages)
        failed: list[FailedUnit] = []
        try:
            failed = units.failed_units(init.pid)
        except units.NoAnswer as problem:
            unread.append(Unseen("units", str(problem)))
        return replace(
            base,
            files=tuple(changed),
            packages=tuple(packages),
            processes=tuple(inside.processes),
            units=tuple(failed),
            logins=(*base.logins, *inside.entered),
            clock=0.0,  # that of this machine
            unseen=(*base.unseen, *inside.unseen, *unread),
        )


def _init(container: Container) -> Init | None:
    """The container's init, unless it has ended, or another process has its number by now."""
    if not processes.is_in(container.pid, container.identifier):
        return None
    root = root_of(processes.mounts_of(container.pid))
    if root is None:
        return None
    upper = root.data.get("upperdir")
    return Init(container.pid, root, Path(upper) if upper else None)


def find_changes(
    container: Container, init: Init, lower: Path, read_packages: files.ReadPackages
) -> tuple[list[FileChange], list[PackageChange], list[Unseen]]:
    """What differs in a container's root from the tree of its image, and what of that could not be seen."""
    mounts = processes.mounts_of(init.pid)
    if not mounts:
        return [], [], [Unseen("files", "it has just ended"), Unseen("packages", "it has just ended")]
    changed = [FileChange(shown(m.point), "covered") for m in unexpected(mounts, container.mounts or ())]
    if "ro" not in init.root.options:
        changed.append(FileChange("/", "writable"))
    if init.upper is None:
        why = f"its root is a file system ({init.root.kind}) that does not tell what it changed"
        return changed, [], [Unseen("files", why), Unseen("packages", why)]
    hidden = frozenset(mount.point for mount in mounts)
    more, unread = files.changes(init.upper, lower, hidden)
    try:
        packages = files.package_changes(init.upper, lower, read_packages)
    except OSError as error:
        packages, unread = [], [*unread, Unseen("packages", error.strerror or str(error))]
    if any(each.aspect == "files" for each in unread):
        unread.append(Unseen("packages", "not all files could be looked at"))
    return [*changed, *more], packages, unread


def find_logins(
    project: str, containers: Sequence[Container], now: datetime, run: Callable[[Sequence[str]], str]
) -> tuple[dict[str, tuple[Login, ...]], dict[str, tuple[Unseen, ...]]]:
    """Who logged in to each container since it was made, by name; and for whom podman does not know that any more."""
    names = {container.names[0] for container in containers}
    if not names:
        return {}, {}
    since = datetime.fromtimestamp(min(container.created for container in containers), now.tzinfo)
    try:
        noted = logins.read_events(run(logins.command(project, since)))
    except Problem as problem:
        return {}, {name: (Unseen("logins", f"podman does not tell its events: {problem.what}"),) for name in names}
    came: dict[str, tuple[Login, ...]] = {}
    for event in noted:
        if event.status in WAYS and event.name in names:
            came[event.name] = (*came.get(event.name, ()), Login(event.at, WAYS[event.status]))
    return came, {c.names[0]: (gap,) for c in containers if (gap := _forgotten(c, noted, now)) is not None}


def _forgotten(container: Container, noted: Iterable[PodmanEvent], now: datetime) -> Unseen | None:
    """podman drops the oldest of its events in time: one that lacks the container's own start lacks what came after."""
    name = container.names[0]
    if any(event.status == "start" and event.name == name for event in noted):
        return None
    if now.timestamp() - container.created < LATE.total_seconds():
        return None
    oldest = min((event.at for event in noted), default=None)
    since = f"before {oldest:%Y-%m-%d %H:%M:%S} UTC" if oldest else "since its start"
    return Unseen("logins", f"podman has dropped its events {since}")
