"""What tests of the qemu provider share: a small guest that boots in seconds, and a project that is cleaned up.

The guest is Debian's own cloud kernel with an initrd of busybox alone. It does what a server's initrd and systemd
do at the provider's edge: unpacks the boot disk to /run/bluestone, answers HTTP on port 80, heeds the power button.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from bluestone.fleet.providers.qemu import Media, Qemu
from bluestone.model.server import Endpoint

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module || echo "cannot load $module"; done
for disk in /sys/block/vd*; do
    [ "$(cat $disk/serial)" = bluestone-boot ] && tar -x -f /dev/${disk##*/} -C /run/bluestone
done
hostname -F /run/bluestone/hostname
ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
echo "welcome to $(hostname)" > /www/index.html
httpd -h /www -p 80
echo "$(hostname) is up"
for button in /sys/class/input/event*; do
    [ "$(cat $button/device/name)" = "Power Button" ] && dd if=/dev/input/${button##*/} bs=24 count=1 of=/dev/null
done
echo "$(hostname) says goodbye"
poweroff -f
"""

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "evdev", "button")
COMMAND_LINE = "console=ttyS0 panic=-1 quiet"


@pytest.fixture(scope="session")
def guest() -> Iterator[Media]:
    """The small guest, where every user can read it: as root, each server is started as a user of its own."""
    for tool in ("qemu-system-x86_64", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    place = Path(mkdtemp(prefix="bs-", dir="/var/tmp"))
    try:
        place.chmod(0o755)
        yield _make_guest(place)
    finally:
        shutil.rmtree(place)


def _make_guest(place: Path) -> Media:
    root = place / "root"
    root.mkdir()
    try:
        _unpack_all(root, ())
    except subprocess.CalledProcessError:  # this machine's lists of packages are missing, or of another day
        lists = ("-o", f"Dir::State::Lists={place / 'lists'}", "-o", f"Dir::Cache={place / 'cache'}")
        for directory in ("lists/partial", "cache/archives/partial"):
            (place / directory).mkdir(parents=True)
        subprocess.run(["apt-get", *lists, "update", "-q"], check=True, capture_output=True)
        _unpack_all(root, lists)
    kernel, initrd = place / "vmlinuz", place / "initrd"
    shutil.copy(next(root.glob("boot/vmlinuz-*")), kernel)
    kernel.chmod(0o644)
    initrd.write_bytes(_initrd(root))
    return Media(None, kernel, initrd, COMMAND_LINE)


def _unpack_all(root: Path, lists: tuple[str, ...]) -> None:
    """Lay the kernel and busybox into a directory, from the archive. Raises `CalledProcessError`."""
    shown = subprocess.run(
        ["apt-cache", *lists, "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=True
    )
    kernel = re.search(r"Depends: (linux-image-\S+)", shown.stdout)
    if kernel is None:
        raise subprocess.CalledProcessError(100, shown.args, shown.stdout)
    for package in (kernel[1], "busybox-static"):
        subprocess.run(["apt-get", *lists, "download", "-q", package], cwd=root, check=True, capture_output=True)
        (archive,) = root.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
        archive.unlink()


def _initrd(root: Path) -> bytes:
    modules = {path.name.partition(".")[0].replace("-", "_"): path for path in root.rglob("*.ko*")}
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name and name not in ordered and name in modules:
            content = modules[name].read_bytes()
            content = lzma.decompress(content) if modules[name].suffix == ".xz" else content
            found = re.search(rb"\0depends=([^\0]*)\0", content)
            for other in found[1].decode().split(",") if found else ():
                add(other.replace("-", "_"))
            ordered[name] = content

    for name in MODULES:
        add(name)
    busybox = next(path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.exists())
    files = {
        "init": INIT.encode(),
        "bin/busybox": busybox.read_bytes(),
        "modules/order": "\n".join(ordered).encode(),
        **{f"modules/{name}": content for name, content in ordered.items()},
    }
    entries = [
        _entry(name, 0o040755) for name in ("bin", "dev", "modules", "proc", "run", "run/bluestone", "sys", "www")
    ]
    entries.append(_entry("www/bluestone", 0o120777, b"/run/bluestone"))
    entries += [_entry(name, 0o100755, content) for name, content in files.items()]
    return b"".join([*entries, _entry("TRAILER!!!", 0)])


def _entry(name: str, mode: int, content: bytes = b"") -> bytes:
    """One entry of a cpio archive (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


@dataclass
class Site:
    """A project on this machine, with ways to look behind the provider's back."""

    media: Media
    directory: Path
    project: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.provider = self.provide(self.project)

    def provide(self, project: str) -> Qemu:
        home = self.directory / project
        return Qemu(project, lambda _: self.media, home / "run", home / "consoles", self.directory / "accelerator")

    def pid(self, server: str) -> int:
        return int((self.directory / self.project / "run" / server / "pid").read_text().split()[0])

    def kill(self, server: str) -> None:
        os.kill(self.pid(server), signal.SIGKILL)

    def console(self, server: str) -> str:
        """What is left of a server's console, whether it exists or not."""
        place = self.directory / self.project / "consoles"
        path = place / server if (place / server).exists() else place / f"{server}.ended"
        return path.read_text(errors="replace")

    def destroy_all(self) -> None:
        for server in self.provider.list_servers():
            self.provider.destroy(server.name, timedelta(0))
        self.provider.clear()


@contextmanager
def site(media: Media) -> Iterator[Site]:
    """A site that is taken down, whatever the test did; that nothing of it is left is checked."""
    directory = Path(mkdtemp(prefix="bs-", dir="/var/tmp"))
    one = Site(media, directory)
    try:
        yield one
    finally:
        one.destroy_all()
        shutil.rmtree(directory)
    assert not [line for line in processes() if one.project in line or str(directory) in line]


def processes() -> list[str]:
    """The command lines of all processes on this machine, for none of them holds a secret."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


def fetch(endpoint: Endpoint | None, path: str = "/") -> bytes:
    """What a server answers at its port 80; nothing while nobody answers."""
    assert endpoint is not None
    try:
        with urllib.request.urlopen(f"http://{endpoint.host}:{endpoint.ports[80]}{path}", timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""
