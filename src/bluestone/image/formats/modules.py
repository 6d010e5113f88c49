"""Which of a kernel's modules are loaded first, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from bluestone.model.problem import Problem

FASTER = ("sha256_ssse3",)
"""Digests by the processor's own means; loaded first, as dm-verity chooses once."""

NEEDED = ("virtio_pci", "virtio_blk", "dm_mod", "dm_verity", "squashfs")
"""Without these, as modules or in the kernel itself, the disk of a virtual machine cannot be opened."""

WELCOME = (
    # Disks of clouds and other hypervisors.
    "nvme",
    "virtio_scsi",
    "sd_mod",
    "xen_blkfront",
    # Randomness for the first keys; the power button, and the device that it is read from.
    "virtio_rng",
    "button",
    "evdev",
)
"""Loaded if the kernel has them. Everything else is loaded later, by udev, from the image."""


def load_order(dependencies: str, builtin: str) -> list[str]:
    """Paths (below the modules' directory) of the modules to load, each after those that it depends on.

    Arguments are the texts of `modules.dep` and `modules.builtin` (modules.dep(5)). Raises `Problem` for a kernel
    that lacks something.
    """
    known = dict(_parse(dependencies))
    by_name = {module_name(path): path for path in known}
    built_in = {module_name(path) for path in builtin.split()}
    missing = [name for name in NEEDED if name not in by_name and name not in built_in]
    if missing:
        raise Problem(
            f"the image's kernel cannot open a verified disk: it has no {', '.join(missing)}",
            mend='choose a kernel for virtual machines: packages = ["linux-image-cloud-amd64"]',
        )
    order: dict[str, None] = {}
    for name in (*FASTER, *NEEDED, *WELCOME):
        if name in by_name:
            _visit(by_name[name], known, order, ())
    return list(order)


def module_name(path: str) -> str:
    """The name of the module in a file: `-` and `_` are one, whatever it is compressed with."""
    return PurePosixPath(path).name.partition(".")[0].replace("-", "_")


def _parse(dependencies: str) -> Iterable[tuple[str, Sequence[str]]]:
    for line in dependencies.splitlines():
        path, _, needs = line.partition(":")
        yield path, needs.split()


def _visit(path: str, known: dict[str, Sequence[str]], order: dict[str, None], above: tuple[str, ...]) -> None:
    for needed in known.get(path, ()):
        if needed not in order and needed not in above:
            _visit(needed, known, order, (*above, path))
    order.setdefault(path)
