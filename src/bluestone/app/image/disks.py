"""The disks that virtual machines boot: made of an image when the first one is started, and kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bluestone.app import wiring
from bluestone.app.image.export import packing_tools
from bluestone.app.project import Project
from bluestone.model.image import Image


def _say_nothing(_: str) -> None:
    return


def disk_of(project: Project, image: Image, progress: Callable[[str], None] = _say_nothing) -> Path:
    """The bootable disk of an image, which goes when the image goes. Raises `Problem`."""
    disk = image.root.parent / "disk.raw"
    if disk.exists():
        return disk
    from bluestone.image.formats.disk import make_disk

    tools = packing_tools(project, progress)
    with wiring.images(project).building(image.digest, progress):
        if not disk.exists():
            make_disk(image.root, tools, disk, progress)
    return disk


def ensure_disk(project: Project, image: Image, progress: Callable[[str], None]) -> None:
    """Have the disk of an image if any group runs as virtual machines, before their rollouts begin."""
    if any(group.provider == "qemu" for group in project.groups):
        disk_of(project, image, progress)
