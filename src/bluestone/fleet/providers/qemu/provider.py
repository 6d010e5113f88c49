"""Servers as virtual machines on this machine: one QEMU each, which boots its image's disk.

Nothing is remembered between calls: a server exists while its record does, and runs while its process does.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bluestone.fleet.providers.qemu import commands, records
from bluestone.fleet.providers.qemu.accelerator import BOOT_ID, choose, server_user
from bluestone.fleet.providers.qemu.bootdisk import archive
from bluestone.fleet.providers.qemu.commands import Accelerator, Descriptors, Media
from bluestone.fleet.providers.qemu.directories import Directories, Home
from bluestone.fleet.providers.qemu.ports import choose_ports
from bluestone.fleet.providers.qemu.qmp import Monitor, QmpError
from bluestone.fleet.providers.qemu.records import Record
from bluestone.fleet.providers.room import require_room
from bluestone.model.generation import Generation
from bluestone.model.ids import Digest
from bluestone.model.problem import MissingTool, Problem
from bluestone.model.server import Phase, Server, ServerSpec
from bluestone.model.volume import Volume

if TYPE_CHECKING:
    from bluestone.model.drift import Bystander, Examination

FIRMWARE = (Path("/usr/share/ovmf/OVMF.fd"), Path("/usr/share/qemu/OVMF.fd"))
"""UEFI for virtual machines, where Debian's package `ovmf` puts it. It keeps no variables."""

START_TIMEOUT = 60.0
"""Seconds until QEMU answers; it takes a fraction of one, more where many start at once."""

ASK_TIMEOUT = 5.0
ASK_AGAIN = 2.0
"""Seconds between two presses of the power button: a guest that still boots does not notice the first."""

EMULATION_GRACE = 8
"""By how much longer an emulated server may take to stop: its seconds of work are several of ours."""

QUIT_GRACE = 5.0
"""Seconds that QEMU may take to end by itself once it is told to."""


NOT_LOOKED_INTO = "a virtual machine is not looked into from outside"


class Qemu:
    """The provider port on QEMU, as root (each server as a user of its own) or as an ordinary user.

    `locate_media` gives what servers of an image boot, made on first use. `run_directory` takes what servers are
    handed at their start, secrets among it, so it should be in memory. `console_directory` takes a file per server
    with what its console shows. `accelerator_cache` keeps how QEMU runs here.
    """

    list_lag = timedelta(0)

    def __init__(
        self,
        project: str,
        locate_media: Callable[[Digest], Media],
        run_directory: Path,
        console_directory: Path,
        accelerator_cache: Path,
    ) -> None:
        self._project = project
        self._locate_media = locate_media
        self._directories = Directories(run_directory, console_directory)
        self._accelerator_cache = accelerator_cache

    def prepare(self) -> None:
        """Find out how QEMU runs here, and sweep what a crash left behind."""
        self._accelerator()
        with self._directories.exclusive():
            self._directories.sweep()

    def list_servers(self) -> Sequence[Server]:
        """Every server of the project; for those that are dead, why."""
        return [self._look(home, record) for home, record in self._directories.all()]

    def create(self, spec: ServerSpec) -> None:
        """Write down a server, start QEMU, and return once that runs its guest."""
        self.ensure_volumes(spec.generation, [spec.slot])
        media = self._locate_media(spec.generation.image)  # may take seconds: not under the lock
        accelerator = self._accelerator()
        home = self._directories.of(spec.name)
        with self._directories.exclusive():
            record = home.record()
            if record is None:
                require_room(spec)
                record = self._write(spec, home)
            phase = self._look(home, record).phase
            if phase == "creating":
                self._start(spec, home, record, media, accelerator)
            elif phase != "running":
                raise Problem(
                    f"the server {spec.name} exists and is {phase}: names are not used again",
                    mend="destroy it first",
                )
        self._wait_until_it_runs(home)

    def destroy(self, name: str, grace: timedelta) -> None:
        """Press the server's power button, wait, end QEMU if it still runs, and remove all that was the server's.

        `grace` is for servers that run on the processor; emulated ones get `EMULATION_GRACE` times as much.
        """
        home = self._directories.of(name)
        if home.record() is None:
            return
        if home.daemon.pid() is not None:
            with self._directories.exclusive():
                if home.record() is not None:
                    home.stopping.touch(mode=0o600)
            self._power_down(home, grace if self._accelerator().kvm else grace * EMULATION_GRACE)
        with self._directories.exclusive():
            home.daemon.stop(QUIT_GRACE)
            home.remove()

    def list_volumes(self) -> Sequence[Volume]:
        """None: virtual machines have no volumes yet."""
        return []

    def ensure_volumes(self, generation: Generation, slots: Sequence[int]) -> None:  # noqa: ARG002
        """Refuse servers that are to have volumes."""
        if generation.config.volumes:
            raise Problem(
                f"servers of {generation.group} are to have volumes, which virtual machines have not yet",
                mend='leave the volumes out, or choose provider = "podman"',
            )

    def put_away(self, name: str) -> int | None:  # noqa: ARG002
        """There is none."""
        return None

    def remove_volume(self, name: str) -> None:
        """There is none."""

    def console(self, name: str, lines: int) -> Sequence[str]:
        """What the server's console showed last: firmware, kernel, and what systemd and its journal put there."""
        home = self._directories.of(name)
        if home.record() is None:
            raise Problem(f"there is no server {name} on QEMU here", mend="see `bluestone servers`")
        return home.console_tail()[-lines:]

    def examine(self, servers: Sequence[Server]) -> Sequence[Examination]:
        """Nothing is known of a machine but what it writes; its kernel verifies what it reads of its image."""
        from bluestone.model.drift import ASPECTS, Examination, Unseen

        now = datetime.now(UTC)
        unseen = tuple(Unseen(aspect, NOT_LOOKED_INTO) for aspect in ASPECTS)
        return [Examination(s.name, now, unseen=unseen) for s in servers if self._runs(s.name)]

    def list_bystanders(self) -> Sequence[Bystander]:
        """A machine has a network of its own."""
        return ()

    def clear(self) -> None:
        """Remove what is left of servers that are gone."""
        with self._directories.exclusive():
            names = [home.name for home, _ in self._directories.all()]
            if names:
                raise Problem(
                    f"servers of the project {self._project} still exist: {', '.join(names)}",
                    mend="destroy them first: bluestone down",
                )
            self._directories.clear()

    def _runs(self, name: str) -> bool:
        home = self._directories.of(name)
        return home.record() is not None and home.daemon.pid() is not None

    def _accelerator(self) -> Accelerator:
        return choose(self._accelerator_cache)

    def _look(self, home: Home, record: Record) -> Server:
        """The server as it is now."""
        if home.daemon.pid() is not None:
            phase: Phase = "stopping" if home.stopping.exists() else "running"
            return records.server_of(record, phase)
        if not home.daemon.pid_file.exists():
            return records.server_of(record, "creating")
        said = home.daemon.last_words()
        return records.server_of(record, "dead", records.how_it_ended(record, _boot_id(), said, home.console_tail()))

    def _write(self, spec: ServerSpec, home: Home) -> Record:
        """Make the server exist, with ports of its own. Called under the lock, so that no port is chosen twice."""
        taken = [port for other, record in self._directories.all() for port in record.ports.values()]
        ports = choose_ports(f"{self._project}/{spec.group}/{spec.slot}", spec.generation.config.ports, taken)
        record = records.record_of(spec, ports, datetime.now(UTC), _boot_id())
        home.write(record, archive(self._project, spec.name, spec.bootfiles))
        return record

    def _start(self, spec: ServerSpec, home: Home, record: Record, media: Media, accelerator: Accelerator) -> None:
        firmware = None if media.kernel else find_firmware()
        user = server_user(f"{self._project}/{spec.name}")
        with opened(home, media.disk) as descriptors:
            command = commands.machine(
                spec.name,
                spec.resources,
                media,
                firmware,
                accelerator,
                descriptors,
                record.ports,
            )
            command = commands.recorded(commands.confined(command, user), home.daemon.pid_file)
            home.daemon.start(command, inherit=descriptors.all)

    def _wait_until_it_runs(self, home: Home) -> None:
        """Return once QEMU answers. Raises `Problem` with what it said if it ended instead."""
        until = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with Monitor(home.monitor, ASK_TIMEOUT):
                    return
            except QmpError as problem:
                if home.daemon.pid() is None:
                    raise Problem(
                        f"the virtual machine {home.name} did not start: {home.daemon.last_words() or problem.what}",
                        mend="mend what it says; the server is replaced by the next `bluestone up`",
                        left=f"{home.name} exists, and is dead",
                    ) from problem
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _power_down(self, home: Home, grace: timedelta) -> None:
        """Return when QEMU has ended, at the latest after `grace`."""
        end = time.monotonic() + grace.total_seconds()
        again = 0.0
        while home.daemon.pid() is not None and time.monotonic() < end:
            if time.monotonic() >= again:
                self._press_power_button(home)
                again = time.monotonic() + ASK_AGAIN
            time.sleep(0.05)

    def _press_power_button(self, home: Home) -> None:
        try:
            with Monitor(home.monitor, ASK_TIMEOUT) as monitor:
                monitor.execute("system_powerdown")
        except QmpError:
            return  # it has just ended, or does not answer: then it is ended after the grace


@contextmanager
def opened(home: Home, disk: Path | None) -> Iterator[Descriptors]:
    """The files that QEMU is handed open, so that its user can open none of them, nor any other server's."""
    with ExitStack() as stack:

        def open_file(path: Path, flags: int) -> int:
            descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            return descriptor

        home.monitor.unlink(missing_ok=True)
        monitor = stack.enter_context(socket.socket(socket.AF_UNIX))
        monitor.bind(str(home.monitor))
        monitor.listen(8)
        yield Descriptors(
            boot=open_file(home.boot, os.O_RDONLY),
            console=open_file(home.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
            monitor=monitor.fileno(),
            disk=None if disk is None else open_file(disk, os.O_RDONLY),
        )


def find_firmware() -> Path:
    """UEFI for virtual machines. Raises `MissingTool`."""
    found = next((path for path in FIRMWARE if path.exists()), None)
    if found is None:
        raise MissingTool("OVMF (UEFI for virtual machines)", "ovmf")
    return found


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()
