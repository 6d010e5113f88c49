"""The kernel of an image, and the small first file system with which it opens the image's verified root."""

from __future__ import annotations

import gzip
import lzma
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from bluestone.image.formats import tools
from bluestone.image.formats.cpio import Node, archive, directory, file, link
from bluestone.image.formats.layer import read
from bluestone.image.formats.modules import load_order, module_name
from bluestone.image.tree import Entry
from bluestone.model.problem import Problem

MACHINE = Path(__file__).parent / "machine"
ON_SERVER = "server/run/bluestone-machine"
UNITS = "server/run/systemd/system"
VENDOR = "/usr/lib/systemd/system"

LIBRARIES = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)")
"""A line of ldd(1) that names a file."""


class Kernel(Struct, frozen=True):
    """A kernel in an image: its release, and its own file and those of its modules, by their path below `modules`."""

    release: str
    image: Entry
    modules: Mapping[str, Entry]


def find_kernel(entries: Sequence[Entry]) -> Kernel:
    """The image's kernel. Raises `Problem` if it has none, or several, or lacks what a server on a disk needs."""
    by_path = {entry.path.decode(errors="surrogateescape"): entry for entry in entries}
    releases = [path.removeprefix("boot/vmlinuz-") for path in by_path if path.startswith("boot/vmlinuz-")]
    if not releases:
        raise Problem(
            "the image has no kernel, and a disk needs one to boot",
            mend='add one to the image: packages = ["linux-image-cloud-amd64", ...]',
        )
    if len(releases) > 1:
        raise Problem(
            f"the image has several kernels, and which to boot cannot be told: {', '.join(sorted(releases))}",
            mend="leave one of them in image.packages",
        )
    if "usr/lib/systemd/systemd-udevd" not in by_path and "usr/bin/udevadm" not in by_path:
        raise Problem(
            "the image has no udev, without which a virtual machine has no network",
            mend='add it to the image: packages = ["udev", ...]',
        )
    prefix = f"usr/lib/modules/{releases[0]}/"
    modules = {path.removeprefix(prefix): entry for path, entry in by_path.items() if path.startswith(prefix)}
    if "modules.dep" not in modules:
        raise Problem(
            f"the image has no list of the modules of its kernel {releases[0]}",
            mend="let the kernel's package install it, and remove nothing below /usr/lib/modules in image.run",
        )
    return Kernel(releases[0], by_path[f"boot/vmlinuz-{releases[0]}"], modules)


def initrd(kernel: Kernel, root: Path, tools_root: Path) -> bytes:
    """The first file system: busybox, dmsetup, a few modules, and `machine/`.

    It is not compressed: the compressor in Python is not the same everywhere, and memory is cheaper than time here.
    Raises `Problem`.
    """
    return archive(
        [
            *(directory(place) for place in ("proc", "sys", "dev", "run", "sysroot")),
            # Without it nobody would see what the first process says.
            Node("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
            file("init", _machine("init.sh"), 0o755),
            *_programs(tools_root),
            *_modules(kernel, root, tools_root),
            *_server(),
        ]
    )


def libraries(said: str) -> list[str]:
    """The files that ldd(1) names, in its order."""
    return [match[1] for line in said.splitlines() if (match := LIBRARIES.search(line))]


def _programs(tools_root: Path) -> Iterator[Node]:
    yield file("bin/busybox", _tool(tools_root, "/usr/bin/busybox"), 0o755)
    yield file("sbin/dmsetup", _tool(tools_root, "/usr/sbin/dmsetup"), 0o755)
    for library in libraries(tools.use(tools_root, ["ldd", "/usr/sbin/dmsetup"])):
        yield file(library.lstrip("/"), _tool(tools_root, library), 0o755)


def _tool(tools_root: Path, path: str) -> bytes:
    # The tree's links between directories are relative (`lib -> usr/lib`), so they stay within it.
    return (tools_root / path.lstrip("/")).resolve().read_bytes()


def _modules(kernel: Kernel, root: Path, tools_root: Path) -> Iterator[Node]:
    def text(name: str) -> str:
        return read(kernel.modules[name], root).decode() if name in kernel.modules else ""

    for number, path in enumerate(load_order(text("modules.dep"), text("modules.builtin"))):
        content = _unpacked(path, read(kernel.modules[path], root), tools_root)
        yield file(f"modules/{number:02}-{module_name(path)}.ko", content)


def _unpacked(path: str, content: bytes, tools_root: Path) -> bytes:
    """A module as the kernel takes it."""
    if path.endswith(".xz"):
        return lzma.decompress(content)
    if path.endswith(".gz"):
        return gzip.decompress(content)
    if path.endswith(".zst"):
        return tools.converted(tools_root, ["zstd", "-dc"], content)
    return content


def _server() -> Iterator[Node]:
    """What is laid into the server's /run: it belongs to the machine that it is on, and not to the image."""
    yield file(f"{ON_SERVER}/memory", _machine("memory.sh"))
    yield file(f"{ON_SERVER}/memory.list", _machine("memory.list"))
    yield file(f"{ON_SERVER}/resolve", _machine("resolve.sh"))
    # By this name busybox's acpid looks for what to run when the button is pressed.
    yield file(f"{ON_SERVER}/acpi/PWRF/00000080", _machine("power.sh"), 0o755)
    yield file("server/run/systemd/network/90-bluestone.network", _machine("90-bluestone.network"))
    for unit in ("bluestone-power.service", "bluestone-resolver.service", "bluestone-resolver.path"):
        yield file(f"{UNITS}/{unit}", _machine(unit))
    yield file(f"{UNITS}/systemd-networkd-wait-online.service.d/50-bluestone.conf", _machine("wait-online.conf"))
    yield link(f"{UNITS}/multi-user.target.wants/bluestone-power.service", "../bluestone-power.service")
    yield link(f"{UNITS}/multi-user.target.wants/bluestone-resolver.path", "../bluestone-resolver.path")
    for target, unit in (("multi-user", "systemd-networkd"), ("network-online", "systemd-networkd-wait-online")):
        yield link(f"{UNITS}/{target}.target.wants/{unit}.service", f"{VENDOR}/{unit}.service")


def _machine(name: str) -> bytes:
    return (MACHINE / name).read_bytes()
