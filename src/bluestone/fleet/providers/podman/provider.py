"""Servers as podman system containers on this machine: systemd as init, a read-only root, no way to log in.

podman's command line is called for each step (docs/adr/0005). Each call takes some 0.1 s of processor time, so a server
is made and started by one, and what the last list showed is remembered: by `examine`, which is asked of servers that
were just listed, and for creates (`census`).
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from bluestone.fleet.providers.podman import bridge, commands
from bluestone.fleet.providers.podman.addresses import Network, choose_address, loopback, read_network
from bluestone.fleet.providers.podman.census import Census
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
from bluestone.fleet.providers.podman.volumes import Volumes, check_free, check_image, ownership
from bluestone.host.commands import CommandFailed, begin, run
from bluestone.model.generation import Generation
from bluestone.model.ids import Digest
from bluestone.model.image import Package
from bluestone.model.problem import MissingTool, NoRoom, Problem
from bluestone.model.server import Server, ServerSpec
from bluestone.model.volume import Volume

if TYPE_CHECKING:
    from bluestone.fleet.providers.podman.storage import Storage
    from bluestone.model.drift import Bystander, Examination

QUICK = 30.0
"""Seconds for calls that take some 60 ms; podman waits for its own locks meanwhile."""

SLOW = 60.0
"""Seconds for starting a container, and for what removing one takes besides its grace."""

ENVIRONMENT = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "true", "GOGC": "800"}
"""Has podman 5 not complain of a machine's control groups in each of its errors, and podman, which soon ends, collect
its garbage rarely: that was a tenth of what a list takes."""

STALE = 5.0
"""Seconds after which a list that was begun ahead is not used. HAProxy may know a server that it lacks: that shows, and
has whoever looks ask again."""

TERMINAL_NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
"""Escape sequences (ECMA-48) with which systemd decorates a console."""


class Ahead(NamedTuple):
    """A list that was `begun` at some second; `answer` waits for it."""

    begun: float
    answer: Callable[[], str]


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
        self._read_packages = read_packages
        self._snapshot_directory = snapshot_directory or run_directory.parent / "snapshots"
        self._listed: Sequence[Container] = ()
        self._census = Census(self._directories, lambda: self._observe())
        self._unswept = False
        self._going: set[str] = set()
        self._ahead: dict[tuple[str, ...], Ahead] = {}

    def look_ahead(self, *, beside: bool = False) -> None:
        """Begin the list that whoever only looks will ask for first, while it is still loading what it needs for that.

        `beside`: the bystanders, too. Raises `Problem`.
        """
        wanted = [commands.list_containers(self._project)]
        wanted += [commands.list_neighbours(self._project)] if beside and not self._runtime.rootless else []
        for command in wanted:
            answer = begin(command, timeout=QUICK, environment=os.environ | ENVIRONMENT, niceness=hurry())
            self._ahead[tuple(command)] = Ahead(time.monotonic(), answer)

    def prepare(self) -> None:
        """Have the network. The next list sweeps what servers that are gone left behind: it is made anyway."""
        runtime = self._runtime
        if not runtime.rootless:
            self._ensure_network()
        self._unswept = True

    def list_servers(self) -> Sequence[Server]:
        """Every server of the project; for those that are dead, why, unless they are being destroyed here."""
        servers = self._sweep() if self._unswept else self._census.take()
        going = self._going.copy()
        dead = [
            container for container, server in servers.items() if server.phase == "dead" and server.name not in going
        ]
        if dead:
            for container, end in self._ends(dead).items():
                servers[container] = replace(servers[container], detail=end)
        return list(servers.values())

    def create(self, spec: ServerSpec) -> Server:
        """Make a server's container and start it, with those of its volumes that are put away laid out before."""
        if spec.volumes:
            self._storage.bring_back(spec)
        container = commands.container_name(self._project, spec.name)
        with self._census.making(container):
            try:
                server = self._launch(spec, container)
            except CommandFailed as failure:
                found = self._find(spec.name)
                if found is None:
                    with self._directories.exclusive():
                        self._census.forget(spec.name, container)
                    raise _as_no_room(failure) or failure from failure
                server = found
            if server.phase == "creating":
                self._start(spec.name)
            elif server.phase != "running":
                raise Problem(
                    f"the server {spec.name} exists and is {server.phase}: names are not used again",
                    mend="destroy it first",
                )
            if not self._runtime.rootless:
                bridge.pin(self._network)
            server = replace(server, phase="running")
            self._census.arrived(container, server)
        return server

    def destroy(self, name: str, grace: timedelta) -> None:
        """Stop a server and remove it. Two at once are fine: the one that comes late waits for the other."""
        self._going.add(name)
        try:
            self._remove(name, grace)
        finally:
            self._going.discard(name)
        if self._directories.has(name):
            with self._directories.exclusive():
                self._census.forget(name, commands.container_name(self._project, name))

    def list_volumes(self) -> Sequence[Volume]:
        """Every volume of the project, and the server on which it is."""
        return self._storage.list()

    def ensure_volumes(self, generation: Generation, slots: Sequence[int]) -> None:
        """Have the volumes of these slots, once it is clear that servers of the image can have them."""
        specs = generation.config.volumes
        if specs:
            check_image(specs, self._locate_root(generation.image))
            self._storage.ensure(generation.group, slots, specs)

    def put_away(self, name: str) -> int | None:
        """Replace a volume by a snapshot of it."""
        return self._storage.put_away(name)

    def remove_volume(self, name: str) -> None:
        """Destroy a volume that is on no server."""
        self._storage.remove(name)

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
        near = decode(self._ask(commands.list_neighbours(self._project)))
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

    def _sweep(self) -> dict[str, Server]:
        with self._directories.exclusive():
            servers = self._census.take()
            self._directories.sweep({server.name for server in servers.values()})
        self._unswept = False
        return servers

    def _remove(self, name: str, grace: timedelta) -> None:
        until = time.monotonic() + grace.total_seconds() + SLOW
        while True:
            try:
                _run(commands.remove(self._project, name, grace), timeout=max(1.0, until - time.monotonic()))
                return
            except CommandFailed:
                if self._find(name) is None:
                    return
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    @cached_property
    def _runtime(self) -> Runtime:
        return choose_runtime(this_machine(), hurry())

    @cached_property
    def _storage(self) -> Storage:
        # Most servers have no volumes.
        from bluestone.fleet.providers.podman.snapshots import Snapshots
        from bluestone.fleet.providers.podman.storage import Storage

        snapshots = Snapshots(self._snapshot_directory, ("podman", "unshare") if self._runtime.rootless else ())
        volumes = Volumes(self._project, lambda command: _run(command, timeout=QUICK))
        return Storage(self._directories, volumes, snapshots, lambda: self._observe().values())

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
        self._listed = decode(self._ask(commands.list_containers(self._project)))
        return self._listed

    def _ask(self, command: Sequence[str]) -> str:
        """What podman answers to a question, which it may have been asked already."""
        ahead = self._ahead.pop(tuple(command), None)
        if ahead is not None and time.monotonic() - ahead.begun < STALE:
            return ahead.answer()
        return _run(command, timeout=QUICK)

    def _observe(self) -> dict[str, Server]:
        """The servers by container name."""
        return read_containers(self._list())

    def _find(self, name: str) -> Server | None:
        return self._observe().get(commands.container_name(self._project, name))

    def _ends(self, containers: list[str]) -> dict[str, str]:
        try:
            return read_ends(_run(commands.inspect(containers), timeout=QUICK))
        except CommandFailed:
            # One of them was removed since it was listed; the list told the exit codes.
            return {}

    def _launch(self, spec: ServerSpec, container: str) -> Server:
        """Make a server and start it; one that is there already is returned as it is.

        Addresses and volumes are given out by one process at a time. A volume is a server's when podman has made that.
        """
        with ExitStack() as turn:
            turn.enter_context(self._directories.exclusive())
            servers = self._census.around(container)
            if (known := servers.get(container)) is not None:
                return known
            made, command = self._make_ready(spec, list(servers.values()))
            self._census.expect(container, made)
            if not made.volumes:
                turn.close()
            _run(command, timeout=SLOW, directory=self._directories.home(spec.name))
        return made

    def _make_ready(self, spec: ServerSpec, others: Sequence[Server]) -> tuple[Server, list[str]]:
        """Choose a server's place and write what it is handed; return what it will be and the command that makes it.

        Called under the lock.
        """
        from bluestone.fleet.providers.room import require_room

        require_room(spec)
        check_free(spec, others)
        if spec.volumes:
            self._storage.hand_out(spec)
        if owners := ownership(spec.volumes.values()):
            spec = replace(spec, bootfiles={**spec.bootfiles, commands.OWNERS: owners})
        place = self._choose_place(spec, others)
        command = commands.launch(spec, place, self._runtime)
        self._directories.write(self._project, spec.name, spec.bootfiles)
        return server_of(spec, commands.endpoint(spec, place), datetime.now(UTC)), command

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
        """Start a container that was made and not started: somebody was killed over it, or its start failed."""
        try:
            home = self._directories.home(name) if self._directories.has(name) else None
            _run(commands.start(self._project, name), timeout=SLOW, directory=home)
        except CommandFailed as failure:
            server = self._find(name)
            if server is not None and server.phase == "running":
                return
            if no_room := _as_no_room(failure):
                self.destroy(name, timedelta(0))
                raise no_room from failure
            raise self._explain(name, failure) from failure

    def _explain(self, name: str, failure: CommandFailed) -> Problem:
        # podman's network program drives one of two firewalls: up to Debian 12 iptables, then nftables.
        if "netavark" in failure.stderr:
            tool, package = ("nft", "nftables") if "nftables" in failure.stderr else ("iptables", "iptables")
            if shutil.which(tool) is None:
                return MissingTool(tool, package)
        failure.left = f"{name} exists, but is not started"
        return failure


def _as_no_room(failure: CommandFailed) -> NoRoom | None:
    """The failure in other words, if it was that memory or a disk is full."""
    from bluestone.fleet.providers.room import is_full

    if not is_full(failure.stderr):
        return None
    return NoRoom(failure.what, mend="free memory or disk space on this machine")


def _run(command: Sequence[str], *, timeout: float, directory: Path | None = None) -> str:
    return run(command, timeout=timeout, environment=os.environ | ENVIRONMENT, directory=directory, niceness=hurry())
