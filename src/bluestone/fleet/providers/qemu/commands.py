"""The argument lists that QEMU is started with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path

from msgspec import Struct

from bluestone.model.group import Resources

QEMU = "qemu-system-x86_64"

KVM = ("-accel", "kvm", "-cpu", "host")

EMULATION = ("-accel", "tcg,thread=single", "-cpu", "qemu64")
"""One thread for all processors: with several, QEMU 7.2's emulation panics kernels of 2025."""

GATEWAY = "10.0.2.2"
"""This machine's loopback, as servers reach it (QEMU's user-mode network)."""

MEMORY = 512 << 20
"""Bytes of a server's memory where the declaration does not say."""

CONSOLE_SIZE = 16 << 20
"""Bytes that a server's console may write to this machine's disk; what comes after is dropped."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""QEMU's filter of system calls: it starts no program and gains no right."""

RECORD_PID = (
    f'set -e\nread -r {"_ " * 21}start _ < /proc/$$/stat\necho "$$ $start" > "$0.new"\nmv -f "$0.new" "$0"\nexec "$@"'
)
"""Shell that writes down its own process id and start time (field 22, proc(5)), and becomes the program.

So there is no instant at which QEMU runs and nobody has written down which process it is, nor one at which the file is
there and empty, which would be taken for a server that has died."""


class Accelerator(Struct, frozen=True):
    """`kvm` says whether guests run on the processor; `reason` why not, or how it is known."""

    kvm: bool
    reason: str

    @property
    def options(self) -> tuple[str, ...]:
        """QEMU's options for it."""
        return KVM if self.kvm else EMULATION


class User(Struct, frozen=True):
    """Whom QEMU runs as: a user and group id that nothing else has, and the group of `/dev/kvm`."""

    uid: int
    groups: tuple[int, ...] = ()


class Media(Struct, frozen=True):
    """What a server boots: its image's disk, by firmware; or a kernel and an initrd without one."""

    disk: Path | None
    kernel: Path | None = None
    initrd: Path | None = None
    command_line: str = ""


class Descriptors(Struct, frozen=True):
    """Open files that QEMU inherits, so that its user need not be able to open them."""

    boot: int
    console: int
    monitor: int
    disk: int | None = None

    @property
    def all(self) -> tuple[int, ...]:
        """All of them."""
        numbers = (self.boot, self.console, self.monitor, self.disk)
        return tuple(number for number in numbers if number is not None)


def machine(
    name: str,
    resources: Resources,
    media: Media,
    firmware: Path | None,
    accelerator: Accelerator,
    descriptors: Descriptors,
    ports: Mapping[int, int],
) -> list[str]:
    """QEMU for one server. What the server is handed (`descriptors.boot`) is in no argument."""
    return [
        QEMU,
        *("-name", name),
        # A guest that reboots has ended: servers are replaced, not started again.
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", SANDBOX),
        *("-machine", "q35,usb=off,vmport=off,graphics=off", "-rtc", "base=utc"),
        *accelerator.options,
        *("-m", f"{(resources.memory or MEMORY) >> 20}M"),
        *("-smp", str(processors(resources, accelerator))),
        *_boot(media, firmware),
        *_disks(descriptors),
        *_console(descriptors),
        *_network(ports),
        *("-device", "virtio-rng-pci,romfile="),
    ]


def probe(options: Sequence[str], firmware: Path) -> list[str]:
    """QEMU booting a firmware that ends it by isa-debug-exit."""
    return [
        QEMU,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35", "-m", "16"),
        *options,
        *("-bios", str(firmware), "-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
    ]


def confined(command: Sequence[str], user: User | None) -> list[str]:
    """A command that gains no rights and, as a user of its own, has none."""
    return ["setpriv", *_identity(user), "--no-new-privs", *command]


def recorded(command: Sequence[str], pid_file: Path) -> list[str]:
    """A command that first writes down which process it is, and whose files cannot outgrow `CONSOLE_SIZE`.

    Writing more is then an error, which QEMU takes for a busy terminal, and not a signal that ends it.
    """
    bounded = ["env", "--ignore-signal=XFSZ", "prlimit", f"--fsize={CONSOLE_SIZE}", *command]
    return ["sh", "-c", RECORD_PID, str(pid_file), *bounded]


def processors(resources: Resources, accelerator: Accelerator) -> int:
    """How many a server has: a part of one counts as one, and emulation runs on one only."""
    return ceil(resources.cpus) if resources.cpus and accelerator.kvm else 1


def _identity(user: User | None) -> Iterator[str]:
    if user is not None:
        yield from ("--reuid", str(user.uid), "--regid", str(user.uid))
        yield from ("--groups", ",".join(map(str, user.groups))) if user.groups else ("--clear-groups",)
        yield from ("--inh-caps=-all", "--bounding-set=-all")


def _boot(media: Media, firmware: Path | None) -> Iterator[str]:
    if media.kernel is not None:
        yield from ("-kernel", str(media.kernel), "-append", media.command_line)
        if media.initrd is not None:
            yield from ("-initrd", str(media.initrd))
    elif firmware is not None:
        yield from ("-bios", str(firmware))


def _disks(descriptors: Descriptors) -> Iterator[str]:
    """Read-only, and known to the guest by their serial numbers."""
    for name, descriptor in (("root", descriptors.disk), ("boot", descriptors.boot)):
        if descriptor is not None:
            file = f"file.driver=file,file.filename=/dev/fdset/{descriptor},file.read-only=on"
            yield from ("-add-fd", f"fd={descriptor},set={descriptor}")
            yield from ("-blockdev", f"driver=raw,node-name={name},read-only=on,{file}")
            yield from ("-device", f"virtio-blk-pci,drive={name},serial=bluestone-{name},romfile=")


def _console(descriptors: Descriptors) -> Iterator[str]:
    console = descriptors.console
    yield from ("-add-fd", f"fd={console},set={console}")
    yield from ("-chardev", f"file,id=console,path=/dev/fdset/{console},append=on", "-serial", "chardev:console")
    yield from ("-chardev", f"socket,id=monitor,fd={descriptors.monitor},server=on,wait=off")
    yield from ("-mon", "chardev=monitor,mode=control")


def _network(ports: Mapping[int, int]) -> Iterator[str]:
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in sorted(ports.items()))
    yield from ("-netdev", f"user,id=net,ipv6=off{forwards}")
    yield from ("-device", "virtio-net-pci,netdev=net,romfile=")
