"""The volumes of a project in podman: each is named, and its labels say whose it is.

podman itself lays what the image has at a volume's place into a volume that is mounted for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bluestone.fleet.providers.podman.labels import GROUP, PROJECT, SIZE, SLOT, VOLUME
from bluestone.host.commands import CommandFailed
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Server, ServerSpec
from bluestone.model.volume import Volume, VolumeSpec, volume_name

NO_QUOTA = "not supported"
"""In podman's words for a size that the file system below its volumes cannot keep to."""


class Listed(msgspec.Struct):
    """What `podman volume ls --format json` says of a volume."""

    name: str = msgspec.field(name="Name")
    labels: dict[str, str] = msgspec.field(name="Labels")
    created_at: datetime = msgspec.field(name="CreatedAt")


class Volumes:
    """The volumes of one project. `run` calls podman with an argument list and returns what it prints."""

    def __init__(self, project: str, run: Callable[[Sequence[str]], str]) -> None:
        self._project = project
        self._run = run
        self._known: dict[str, Volume] = {}

    def list(self) -> dict[str, Volume]:
        """Every volume by name; who holds it is not said. Raises `Problem`."""
        return read_volumes(self._run(list_command(self._project)))

    def place(self, name: str) -> Path:
        """The directory that has a volume's files. Raises `Problem`."""
        return Path(self._run(place_command(self._project, name)).strip())

    def make(self, volume: Volume) -> None:
        """Make a volume again, empty. Raises `Problem`."""
        name = volume.name.partition(".")[2]
        self._make(volume.group, volume.slot, VolumeSpec(name, "", volume.size))

    def ensure(
        self, group: str, slots: Iterable[int], specs: Sequence[VolumeSpec], away: Mapping[str, Volume] | None = None
    ) -> None:
        """Have these volumes of these slots: those that are missing are made, empty, but for those that are put `away`.

        Those that were seen before are not looked for again: only `remove` destroys one. Raises `Problem`.
        """
        slots = list(slots)
        names = {volume_name(group, slot, spec.name) for slot in slots for spec in specs}
        if not names <= self._known.keys():
            self._known = self.list()
        known = {**self._known, **(away or {})}
        for slot in slots:
            for spec in specs:
                volume = known.get(volume_name(group, slot, spec.name))
                if volume is None:
                    self._make(group, slot, spec)
                elif volume.size != spec.size:
                    raise _other_size(volume, spec)

    def remove(self, name: str) -> None:
        """Destroy a volume and its data. Raises `Refused` while a container has it."""
        self._known = {}
        try:
            self._run(remove_command(self._project, name))
        except CommandFailed as failure:
            if name not in self.list():
                return
            if "being used" in failure.stderr:
                raise Refused(f"the volume {name} is on a server") from failure
            raise

    def _make(self, group: str, slot: int, spec: VolumeSpec) -> None:
        try:
            self._run(create_command(self._project, group, slot, spec))
            self._known = {}
        except CommandFailed as failure:
            if volume_name(group, slot, spec.name) in self.list():
                return  # Somebody else has made it since.
            if spec.size is not None and NO_QUOTA in failure.stderr:
                raise Problem(
                    f"the size of the volume {spec.name} of {group} cannot be kept here: the file system on which "
                    "podman has its volumes has no project quotas",
                    mend="leave size out, or put podman's volumes on XFS that is mounted with prjquota",
                ) from failure
            raise


def store_name(project: str, volume: str) -> str:
    """What podman calls a volume. The dot, which no project's name has, keeps projects `a` and `a-b` apart."""
    return f"bluestone-{project}.{volume}"


def create_command(project: str, group: str, slot: int, spec: VolumeSpec) -> list[str]:
    """Make a volume, with what bluestone must know of it in its labels."""
    name = volume_name(group, slot, spec.name)
    labels = {PROJECT: project, VOLUME: name, GROUP: group, SLOT: str(slot)}
    labels |= {SIZE: str(spec.size)} if spec.size is not None else {}
    options = ["--opt", f"o=size={spec.size}"] if spec.size is not None else []
    marks = [word for label, value in labels.items() for word in ("--label", f"{label}={value}")]
    return ["podman", "volume", "create", *marks, *options, store_name(project, name)]


def place_command(project: str, name: str) -> list[str]:
    """The directory of a volume."""
    return ["podman", "volume", "inspect", "--format", "{{.Mountpoint}}", store_name(project, name)]


def list_command(project: str) -> list[str]:
    """All volumes of a project, as JSON."""
    return ["podman", "volume", "ls", "--filter", f"label={PROJECT}={project}", "--format", "json"]


def remove_command(project: str, name: str) -> list[str]:
    """Remove a volume; refused by podman while a container has it."""
    return ["podman", "volume", "rm", store_name(project, name)]


def mounts(spec: ServerSpec) -> list[str]:
    """Options of `podman run` that put the volumes of a server in their places. Nothing on them is executed."""
    named = ((store_name(spec.project, name), volume.path) for name, volume in spec.volumes.items())
    return [word for name, path in named for word in ("--volume", f"{name}:{path}:nosuid,nodev,noexec")]


def read_volumes(text: str) -> dict[str, Volume]:
    """The output of `podman volume ls`, by volume name. Raises `Problem` if any of it cannot be understood."""
    try:
        # podman 4 prints nothing at all where there is no volume.
        listed = msgspec.json.decode(text or "[]", type=list[Listed])
        volumes = [_read(each) for each in listed]
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise Problem(
            f"podman's list of volumes cannot be understood: {error}",
            mend="look at `podman volume ls --format json`; podman 4.3 to 5 are known to work",
        ) from error
    return {volume.name: volume for volume in volumes}


def check_free(spec: ServerSpec, others: Iterable[Server]) -> None:
    """Raise `Problem` if another server has a volume of this one, whatever its phase: it may still write to it."""
    for server in others:
        if taken := sorted(set(spec.volumes) & set(server.volumes)):
            raise Problem(
                f"{spec.name} cannot have the volume {taken[0]}: it is on {server.name}, which is {server.phase}",
                mend="wait until that is destroyed; a volume is on one server at a time",
            )


def check_image(specs: Iterable[VolumeSpec], root: Path) -> None:
    """Raise `Problem` for a volume that servers of an image could not have: `root` is the image's tree."""
    for spec in specs:
        place = root / spec.path.lstrip("/")
        if place.exists() and not place.is_dir():
            raise Problem(
                f"the volume {spec.name} cannot be at {spec.path}, which is a file in the image",
                mend="name a directory in its path",
            )
        names = spec.owner.split(":") if spec.owner else []
        for name, file in zip(names, ("passwd", "group"), strict=False):
            if not name.isdigit() and name not in _names(root / "etc" / file):
                kind = "user" if file == "passwd" else "group"
                raise Problem(
                    f"the volume {spec.name} is to belong to {name}, and the image has no such {kind}",
                    mend="install the package that brings it, or correct owner",
                )


def ownership(specs: Iterable[VolumeSpec]) -> bytes:
    """The owners of the volumes' top directories, for systemd-tmpfiles (tmpfiles.d(5)): set at each boot."""
    lines = []
    for spec in specs:
        if spec.owner:
            user, _, group = spec.owner.partition(":")
            lines.append(f"z {spec.path} - {user} {group or '-'} - -\n")
    return "".join(lines).encode()


def with_holders(volumes: Mapping[str, Volume], servers: Iterable[Server]) -> list[Volume]:
    """The volumes with the servers that hold them, by name."""
    holders = {name: server.name for server in servers for name in server.volumes}
    return [replace(volume, server=holders.get(name, "")) for name, volume in sorted(volumes.items())]


def _read(listed: Listed) -> Volume:
    labels = listed.labels
    size = int(labels[SIZE]) if SIZE in labels else None
    return Volume(labels[VOLUME], labels[GROUP], int(labels[SLOT]), listed.created_at, size)


def _names(file: Path) -> set[str]:
    """The names in a file in the form of passwd(5) or group(5)."""
    try:
        return {line.partition(":")[0] for line in file.read_text(errors="replace").splitlines()}
    except OSError:
        return set()


def _other_size(volume: Volume, spec: VolumeSpec) -> Problem:
    was = "without a size" if volume.size is None else f"of {volume.size} bytes"
    return Problem(
        f"the volume {volume.name} was made {was}, and is declared {'without one' if spec.size is None else spec.size}",
        mend=f"declare it as it was made, or copy its data away and destroy it: bluestone volumes rm {volume.name}",
    )
