"""How QEMU runs a guest's instructions here: on the processor (KVM), or by emulation.

That `/dev/kvm` can be opened proves little: some machines have one that takes no guest beyond real mode. So
something is booted, as a server would be, and the answer is kept until this machine starts again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bluestone.fleet.providers.qemu.commands import KVM, QEMU, Accelerator, User, confined, probe
from bluestone.host.commands import require
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem

DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

TIMEOUT = 10.0
"""Seconds that the probe may take; it takes some 50 ms."""

STATUS = 2 * 0x2A + 1
"""What QEMU ends with once the probe has written 0x2a to isa-debug-exit."""

PROBE = bytes.fromhex(
    "fa31c08ed866c70600100320000066c70600200330000066c70600308300000066b8001000000f22d866b8200000000f22e066b9800000c0"
    "0f32660d000100000f302e660f011698ff0f20c0660d010000800f22c066ea5dff0f000800b9e8030000f048ff042500500000e2f548813c"
    "2500500000e80300007504b02ae6f4f4ebfd8db4000066900000000000000000ffff0000009aaf000f0088ff0f"
).ljust(0xF0, b"\0") + bytes.fromhex("ea00ff00f0").ljust(16, b"\0")
"""probe.s, assembled."""

FIRMWARE_SIZE = 64 << 10

FIRST_UID, UIDS = 1_900_000_000, 100_000_000
"""User ids that systemd's map of them leaves unused (its UIDS-GIDS.md), so that no two servers share one."""


class _Known(msgspec.Struct):
    boot: str
    decides: str
    accelerator: Accelerator


def choose(cache: Path) -> Accelerator:
    """How servers run here. `cache` is a file that keeps the answer while machine and QEMU are the same.

    Raises `MissingTool`.
    """
    boot, decides = BOOT_ID.read_text().strip(), _what_decides()
    with contextlib.suppress(OSError, msgspec.DecodeError):
        known = msgspec.json.decode(cache.read_bytes(), type=_Known)
        if (known.boot, known.decides) == (boot, decides):
            return known.accelerator
    found = try_kvm()
    with contextlib.suppress(Problem):  # then it is found out again
        private_directory(cache.parent)
        write_atomically(cache, msgspec.json.encode(_Known(boot, decides, found)))
    return found


def _what_decides() -> str:
    """QEMU itself and the device's owner and mode, which is what a person changes to have KVM."""
    qemu = Path(require(QEMU)).stat()
    try:
        device = DEVICE.stat()
    except OSError:
        return f"{qemu.st_mtime_ns} {qemu.st_size} -"
    return f"{qemu.st_mtime_ns} {qemu.st_size} {device.st_mode:o} {device.st_gid} {device.st_uid}"


def try_kvm() -> Accelerator:
    """Boot something with KVM, as a user such as servers run as."""
    if not DEVICE.exists():
        return Accelerator(False, f"there is no {DEVICE} on this machine")
    if os.geteuid() == 0 and group_of_kvm() is None:
        return Accelerator(
            False, f"{DEVICE} is for root alone, and QEMU does not run as root (chgrp kvm {DEVICE}; chmod 660 {DEVICE})"
        )
    trouble = boot(KVM)
    return Accelerator(not trouble, f"KVM does not work here: {trouble}" if trouble else "a guest ran with KVM")


def boot(options: Sequence[str]) -> str:
    """Boot the probe with these options of QEMU; return what went wrong, or nothing."""
    with tempfile.NamedTemporaryFile(prefix="bluestone-probe-") as firmware:
        firmware.write(PROBE.rjust(FIRMWARE_SIZE, b"\xf4"))
        firmware.flush()
        Path(firmware.name).chmod(0o644)
        command = confined(probe(options, Path(firmware.name)), server_user("probe"))
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False, cwd="/")
        except subprocess.TimeoutExpired:
            return f"a guest that takes no time did not end within {TIMEOUT:g} s"
    if done.returncode == STATUS:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[0].removeprefix(f"{QEMU}: ") if said else f"QEMU ended with status {done.returncode}"


def group_of_kvm() -> int | None:
    """The group that may use `/dev/kvm` besides root; 0 where everybody may; None where nobody, or there is none."""
    try:
        about = DEVICE.stat()
    except OSError:
        return None
    others, group = stat.S_IROTH | stat.S_IWOTH, stat.S_IRGRP | stat.S_IWGRP
    if about.st_mode & others == others:
        return 0
    return about.st_gid if about.st_mode & group == group and about.st_gid else None


def server_user(name: str) -> User | None:
    """The user of a server, by its name; None where bluestone is not root: then QEMU runs as its caller."""
    if os.geteuid() != 0:
        return None
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    group = group_of_kvm()
    return User(FIRST_UID + number % UIDS, (group,) if group else ())
