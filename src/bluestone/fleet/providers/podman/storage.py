"""The volumes of a project, whether podman has them now or a snapshot does: the one turns into the other and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from bluestone.fleet.providers.podman.directories import Directories
from bluestone.fleet.providers.podman.snapshots import Snapshots
from bluestone.fleet.providers.podman.volumes import Volumes, with_holders
from bluestone.model.problem import Refused
from bluestone.model.server import Server, ServerSpec
from bluestone.model.volume import Volume, VolumeSpec


class Storage:
    """Volumes and snapshots of one project. `look` lists its servers, which hold them.

    Whatever destroys or hands out a volume does so under the lock of `directories`, under which servers are made.
    """

    def __init__(
        self,
        directories: Directories,
        volumes: Volumes,
        snapshots: Snapshots,
        look: Callable[[], Iterable[Server]],
    ) -> None:
        self._directories = directories
        self._volumes = volumes
        self._snapshots = snapshots
        self._look = look

    def list(self) -> Sequence[Volume]:
        """Every volume, and the server on which it is. Raises `Problem`."""
        # The servers come first: one that has gone by then has let go of its volumes.
        servers = list(self._look())
        there, away = self._volumes.list(), self._put_away()
        found = there | {
            name: volume for name, volume in away.items() if name not in there or self._snapshots.restoring(name)
        }
        return with_holders(found, servers)

    def ensure(self, group: str, slots: Sequence[int], specs: Sequence[VolumeSpec]) -> None:
        """Have these volumes of these slots: those that are missing are made. Raises `Problem`."""
        with self._directories.exclusive():
            self._volumes.ensure(group, slots, specs, self._put_away())

    def hand_out(self, spec: ServerSpec) -> None:
        """Have the volumes of a server's slot for it. Called under the lock. Raises `Problem`."""
        for name in spec.volumes:
            self._snapshots.cancel(name)
            if self._snapshots.has(name):
                raise Refused(f"the volume {name} of {spec.name} was put away just now")
        self._volumes.ensure(spec.group, [spec.slot], spec.generation.config.volumes)

    def put_away(self, name: str) -> int | None:
        """Replace a volume by a snapshot of it: see `snapshots` for what holds at any moment. Raises `Problem`."""
        snapshots = self._snapshots
        with snapshots.turn(name):
            with self._directories.exclusive():
                volume = self._free(name)
                if volume is None or volume.snapshot is not None:
                    return None
                place = self._volumes.place(name)
                if snapshots.nothing_in(place):
                    return None
                part = snapshots.begin(name)
            try:
                manifest = snapshots.write(part, volume, place, datetime.now(UTC))
                with self._directories.exclusive():
                    self._free(name)
                    snapshots.keep(part, name)
                    self._volumes.remove(name)
            finally:
                snapshots.cancel(name)
        return manifest.packed

    def bring_back(self, spec: ServerSpec) -> None:
        """Have those volumes of a server that are put away be volumes again. It takes as long as its data is large."""
        snapshots = self._snapshots
        for name in spec.volumes:
            if not snapshots.has(name):
                continue
            with snapshots.turn(name):
                there = name in self._volumes.list()
                if there and not snapshots.restoring(name):
                    snapshots.discard(name)  # its removal was interrupted: the volume is the truth
                elif snapshots.has(name):
                    manifest = snapshots.take(name)
                    self._volumes.remove(name)
                    self._volumes.make(manifest.volume)
                    snapshots.lay_out(name, self._volumes.place(name))
                    snapshots.discard(name)

    def remove(self, name: str) -> None:
        """Destroy a volume that is on no server. Raises `Problem`."""
        with self._directories.exclusive():
            self._free(name)
            # Of two, the volume is the truth: an older snapshot must not outlive it.
            if not self._snapshots.restoring(name):
                self._snapshots.discard(name)
            self._volumes.remove(name)
            self._snapshots.discard(name)

    def _put_away(self) -> dict[str, Volume]:
        """The volumes that are put away now, by name."""
        found = self._snapshots.list()
        return {name: replace(each.volume, snapshot=each.packed) for name, each in found.items()}

    def _free(self, name: str) -> Volume | None:
        """The volume of that name, if there is one. Raises `Refused` if a server holds it."""
        volume = {each.name: each for each in self.list()}.get(name)
        if volume is not None and volume.server:
            raise Refused(f"the volume {name} is on {volume.server}")
        return volume
