"""Servers as podman system containers on this machine: systemd as init, a read-only root, no way to log in.

podman's command line is called for each step (docs/adr/0005). Each call takes some 0.1 s of processor time, so what the
last list showed is remembered: by `examine`, which is asked of servers that were just listed, and by `create`, as long
as nobody else makes or destroys servers.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from bluestone.fleet.providers.podman import bridge, commands
from bluestone.fleet.providers.podman.addresses import Network, choose_address, loopback, read_network
from bluestone.fleet.providers.podman.directories import Directories
from bluestone.fleet.providers.podman.labels import (
    PROJECT,
    Container,
    address_of,
    decode,
    read_containers,
    read_ends,
    server_name,
    server_of,
)
from bluestone.fleet.providers.podman.runtime import Runtime, choose_runtime, hurry, this_machine
from bluestone.fleet.providers.podman.snapshots import Snapshots
from bluestone.fleet.providers.podman.volumes import Volumes, check_free, check_image, ownership, with_holders
from bluestone.fleet.providers.room import is_full, require_room
from bluestone.host.commands import CommandFailed, run
from bluestone.model.generation import Generation
from bluestone.model.ids import Digest
from bluestone.model.image import Package
from bluestone.model.problem import MissingTool, NoRoom, Problem, Refused
from bluestone.model.server import Server, ServerSpec
from bluestone.model.volume import Volume

if TYPE_CHECKING:
    from bluestone.model.drift import Bystander, Examination

QUICK = 30.0
"""Seconds for calls that take some 60 ms; podman waits for its own locks meanwhile."""

SLOW = 60.0
"""Seconds for starting a container, and for what removing one takes besides its grace."""

ENVIRONMENT = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "true", "GOGC": "800"}
"""Has podman 5 not complain of a machine's control groups in each of its errors, and podman, which soon ends, collect
its garbage rarely: that was a tenth of what a list takes."""

FRESH = 4.0
"""Seconds for which a list is good for creates, as long as nobody else makes or destroys servers."""

TERMINAL_NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
"""Escape sequences (ECMA-48) with which systemd decorates a console."""


class Crowd(NamedTuple):
    """The servers by container name, as listed `at` some second; good while the directories bear this `stamp`."""

    stamp: int
    at: float
    servers: dict[str, Server]


class Podman:
    """The provider port on podman, as root or rootless.

    `locate_root` gives the tree of an image on this machine. `run_directory` takes what servers are handed at
    their start, secrets among it, so it should be in memory. `log_directory` holds the socket of the log
    receiver; servers see it as `/run/bluestone-log`. `read_packages` reads dpkg's list of what is installed.
    `snapshot_directory` has the volumes that are put away, so it must outlive the machine's next start.
    """

    list_lag = timedelta(0)

    def __init__(
        self,
        project: str,
        locate_root: Callable[[Digest], Path],
        run_directory: Path,
        log_directory: Path | None,
        read_packages: Callable[[str], Iterable[Package]] = lambda _: (),
        snapshot_directory: Path | None = None,
    ) -> None:
        self._project = project
        self._locate_root = locate_root
        self._directories = Directories(run_directory)
        self._log_directory = log_directory
        self._volumes = Volumes(project, lambda command: _run(command, timeout=QUICK))
        self._read_packages = read_packages
        self._snapshot_directory = snapshot_directory or run_directory.parent / "snapshots"
        self._listed: Sequence[Container] = ()
        self._crowd: Crowd | None = None
        self._counting = threading.Lock()

    def prepare(self) -> None:
        """Have the network, and sweep what servers that are gone left behind."""
        runtime = self._runtime
        if not runtime.rootless:
            self._ensure_network()
        with self._directories.exclusive():
            self._directories.sweep({server.name for server in self._observe().values()})

    def list_servers(self) -> Sequence[Server]:
        """Every server of the project; for those that are dead, why."""
        stamp, at = self._directories.stamp(), time.monotonic()
        servers = self._observe()
        with self._counting:
            self._crowd = Crowd(stamp, at, servers.copy())
        dead = [container for container, server in servers.items() if server.phase == "dead"]
        if dead:
            for container, end in self._ends(dead).items():
                servers[container] = replace(servers[container], detail=end)
        return list(servers.values())

    def create(self, spec: ServerSpec) -> Server:
        """Create a server's container and start it, with those of its volumes that are put away laid out before."""
        self._bring_back(spec)
        with self._directories.exclusive():
            container = commands.container_name(self._project, spec.name)
            servers = self._present(container)
            server = servers.get(container)
            made = self._make(spec, list(servers.values())) if server is None else server
            self._remember(container, made)
        if server is None or server.phase == "creating":
            try:
                self._start(spec.name)
            except CommandFailed as failure:
                if not is_full(failure.stderr):
                    raise
                self.destroy(spec.name, timedelta(0))
                raise NoRoom(failure.what, mend="free memory or disk space on this machine") from failure
        elif server.phase != "running":
            raise Problem(
                f"the server {spec.name} exists and is {server.phase}: names are not used again",
                mend="destroy it first",
            )
        return replace(made, phase="running")

    def destroy(self, name: str, grace: timedelta) -> None:
        """Stop a server and remove it. Two at once are fine: the one that comes late waits for the other."""
        until = time.monotonic() + grace.total_seconds() + SLOW
        while True:
            try:
                _run(commands.remove(self._project, name, grace), timeout=max(1.0, until - time.monotonic()))
                break
            except CommandFailed:
                if self._find(name) is None:
                    break
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        if self._directories.has(name):
            with self._directories.exclusive():
                self._forget(name)

    def list_volumes(self) -> Sequence[Volume]:
        """Every volume of the project, and the server on which it is."""
        # The servers come first: one that has gone by then has let go of its volumes.
        servers = self._observe().values()
        return with_holders(self._all_volumes(), servers)

    def ensure_volumes(self, generation: Generation, slots: Sequence[int]) -> None:
        """Have the volumes of these slots, once it is clear that servers of the image can have them."""
        specs = generation.config.volumes
        if specs:
            check_image(specs, self._locate_root(generation.image))
            with self._directories.exclusive():
                self._volumes.ensure(generation.group, slots, specs, self._put_away())

    def put_away(self, name: str) -> int | None:
        """Replace a volume by a snapshot of it: see `snapshots` for what holds at any moment."""
        snapshots = self._snapshots
        with snapshots.turn(name):
            with self._directories.exclusive():
                volume = self._free_volume(name)
                if volume is None or volume.snapshot is not None:
                    return None
                place = self._volumes.place(name)
                if snapshots.nothing_in(place):
                    return None
                part = snapshots.begin(name)
            try:
                manifest = snapshots.write(part, volume, place, datetime.now(UTC))
                with self._directories.exclusive():
                    self._free_volume(name)
                    snapshots.keep(part, name)
                    self._volumes.remove(name)
            finally:
                snapshots.cancel(name)
        return manifest.packed

    def remove_volume(self, name: str) -> None:
        """Destroy a volume that is on no server."""
        with self._directories.exclusive():
            self._free_volume(name)
            # Of two, the volume is the truth: an older snapshot must not outlive it.
            if not self._snapshots.restoring(name):
                self._snapshots.discard(name)
            self._volumes.remove(name)
            self._snapshots.discard(name)

    def console(self, name: str, lines: int) -> Sequence[str]:
        """What the server's systemd said last, its warnings and those of its services."""
        text = _run(commands.logs(self._project, name, lines), timeout=QUICK)
        return [TERMINAL_NOISE.sub("", line).rstrip() for line in text.splitlines()][-lines:]

    def examine(self, servers: Sequence[Server]) -> Sequence[Examination]:
        """Look at what the kernel, podman's events and each server's systemd tell, from outside."""
        from bluestone.fleet.providers.podman.examine.examine import Examiner

        names = {server.name for server in servers}
        if not names <= {server_name(container) for container in self._listed}:
            self._list()
        running = [c for c in self._listed if c.pid and c.state == "running" and server_name(c) in names]

        def run_podman(command: Sequence[str]) -> str:
            return _run(command, timeout=QUICK)

        return Examiner(self._project, self._locate_root, self._read_packages, run_podman).examine(running)

    def list_bystanders(self) -> Sequence[Bystander]:
        """Containers on the project's network that are not of the project."""
        from bluestone.model.drift import Bystander

        if self._runtime.rootless:
            return ()
        near = decode(_run(commands.list_neighbours(self._project), timeout=QUICK))
        return [
            Bystander(c.names[0], f"a container on the servers' network, {c.state}")
            for c in near
            if (c.labels or {}).get(PROJECT) != self._project
        ]

    def clear(self) -> None:
        """Remove the network and all directories."""
        with self._directories.exclusive():
            names = sorted(server.name for server in self._observe().values())
            if names:
                raise Problem(
                    f"servers of the project {self._project} still exist: {', '.join(names)}",
                    mend="destroy them first: bluestone down; what that leaves is not bluestone's: bluestone drift",
                )
            if commands.network_name(self._project) in self._networks():
                _run(commands.remove_network(self._project), timeout=QUICK)
            self.__dict__.pop("_network", None)
            self._directories.clear()

    @cached_property
    def _runtime(self) -> Runtime:
        return choose_runtime(this_machine())

    @cached_property
    def _snapshots(self) -> Snapshots:
        return Snapshots(self._snapshot_directory, ("podman", "unshare") if self._runtime.rootless else ())

    @cached_property
    def _network(self) -> Network:
        return read_network(_run(commands.inspect_network(self._project), timeout=QUICK))

    def _ensure_network(self) -> None:
        self.__dict__.pop("_network", None)
        try:
            bridge.pin(self._network)
            return
        except CommandFailed:
            # Most likely there is none yet.
            try:
                _run(commands.create_network(self._project), timeout=QUICK)
            except CommandFailed:
                # Another process may have made it since.
                if commands.network_name(self._project) not in self._networks():
                    raise
        bridge.pin(self._network)

    def _networks(self) -> list[str]:
        return _run(commands.list_networks(self._project), timeout=QUICK).split()

    def _list(self) -> Sequence[Container]:
        self._listed = decode(_run(commands.list_containers(self._project), timeout=QUICK))
        return self._listed

    def _observe(self) -> dict[str, Server]:
        """The servers by container name."""
        return read_containers(self._list())

    def _present(self, container: str) -> dict[str, Server]:
        """The servers by container name, for whoever is about to make `container`. Called under the lock.

        As they were listed lately, if only this provider made or destroyed servers since, and none of that name: what
        has become of one that was made is seen by looking only.
        """
        with self._counting:
            crowd = self._crowd
        if crowd is not None and container not in crowd.servers and self._is_fresh(crowd):
            return crowd.servers
        found = Crowd(self._directories.stamp(), time.monotonic(), self._observe())
        with self._counting:
            self._crowd = found
        return found.servers

    def _remember(self, container: str, made: Server) -> None:
        """Count a server in that was just made, in the turn of its create."""
        with self._counting:
            if (crowd := self._crowd) is not None:
                self._crowd = Crowd(self._directories.stamp(), crowd.at, {**crowd.servers, container: made})

    def _forget(self, name: str) -> None:
        """Remove the directory of a server that is gone, and count it out. Called under the lock."""
        gone = commands.container_name(self._project, name)
        with self._counting:
            crowd = self._crowd
            fresh = crowd is not None and self._is_fresh(crowd)
            self._directories.remove(name)
            if crowd is not None and fresh:
                rest = {container: server for container, server in crowd.servers.items() if container != gone}
                self._crowd = Crowd(self._directories.stamp(), crowd.at, rest)

    def _is_fresh(self, crowd: Crowd) -> bool:
        return crowd.stamp == self._directories.stamp() and time.monotonic() - crowd.at < FRESH

    def _find(self, name: str) -> Server | None:
        return self._observe().get(commands.container_name(self._project, name))

    def _ends(self, containers: list[str]) -> dict[str, str]:
        try:
            return read_ends(_run(commands.inspect(containers), timeout=QUICK))
        except CommandFailed:
            # One of them was removed since it was listed; the list told the exit codes.
            return {}

    def _make(self, spec: ServerSpec, others: Sequence[Server]) -> Server:
        """Create the container, not started. Called under the lock, so that no address is chosen twice, and no volume
        is on two servers."""
        require_room(spec)
        check_free(spec, others)
        for name in spec.volumes:
            self._snapshots.cancel(name)
            if self._snapshots.has(name):
                raise Refused(f"the volume {name} of {spec.name} was put away just now")
        if spec.volumes:
            self._volumes.ensure(spec.group, [spec.slot], spec.generation.config.volumes)
        if owners := ownership(spec.volumes.values()):
            spec = replace(spec, bootfiles={**spec.bootfiles, commands.OWNERS: owners})
        place = self._choose_place(spec, others)
        self._directories.write(self._project, spec.name, spec.bootfiles)
        try:
            _run(commands.create(spec, place, self._runtime), timeout=QUICK)
        except CommandFailed as failure:
            if self._find(spec.name) is None:
                self._directories.remove(spec.name)
                if is_full(failure.stderr):
                    raise NoRoom(failure.what, mend="free memory or disk space on this machine") from failure
                raise
        return server_of(spec, commands.endpoint(spec, place), datetime.now(UTC))

    def _put_away(self) -> dict[str, Volume]:
        """The volumes that are put away now, by name."""
        found = self._snapshots.list()
        return {name: replace(each.volume, snapshot=each.packed) for name, each in found.items()}

    def _all_volumes(self) -> dict[str, Volume]:
        there, away = self._volumes.list(), self._put_away()
        return there | {
            name: volume for name, volume in away.items() if name not in there or self._snapshots.restoring(name)
        }

    def _free_volume(self, name: str) -> Volume | None:
        """The volume of that name, if there is one. Raises `Refused` if a server holds it."""
        volume = {each.name: each for each in self.list_volumes()}.get(name)
        if volume is not None and volume.server:
            raise Refused(f"the volume {name} is on {volume.server}")
        return volume

    def _bring_back(self, spec: ServerSpec) -> None:
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

    def _choose_place(self, spec: ServerSpec, others: Sequence[Server]) -> commands.Place:
        rootless = self._runtime.rootless
        network = loopback(self._project, os.getuid()) if rootless else self._network
        taken = [address_of(server) for server in others if server.phase != "dead"]
        return commands.Place(
            root=self._locate_root(spec.generation.image),
            bootfiles=self._directories.bootfiles(spec.name),
            machine_id=self._directories.machine_id(spec.name),
            log_directory=self._log_directory,
            network=None if rootless else network,
            address=choose_address(network, spec.group, spec.slot, taken),
        )

    def _start(self, name: str) -> None:
        try:
            # The server inherits what this call is given, priority too.
            _run(commands.start(self._project, name), timeout=SLOW, niceness=0)
        except CommandFailed as failure:
            server = self._find(name)
            if server is None or server.phase != "running":
                raise self._explain(name, failure) from failure
        if not self._runtime.rootless:
            bridge.pin(self._network)

    def _explain(self, name: str, failure: CommandFailed) -> Problem:
        # podman's network program drives one of two firewalls: up to Debian 12 iptables, then nftables.
        if "netavark" in failure.stderr:
            tool, package = ("nft", "nftables") if "nftables" in failure.stderr else ("iptables", "iptables")
            if shutil.which(tool) is None:
                return MissingTool(tool, package)
        failure.left = f"{name} exists, but is not started"
        return failure


def _run(command: Sequence[str], *, timeout: float, niceness: int | None = None) -> str:
    niceness = hurry() if niceness is None else niceness
    return run(command, timeout=timeout, environment=os.environ | ENVIRONMENT, niceness=niceness)
