"""A built image."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from msgspec import Struct

from bluestone.model.ids import Digest


class Package(Struct, frozen=True):
    """An installed package: binary name, version and architecture as dpkg says them."""

    name: str
    version: str
    architecture: str


class Image(Struct, frozen=True):
    """An image in the store. `root` is its tree on this machine; `size` in bytes; `key` names its inputs."""

    digest: Digest
    key: str
    root: Path
    size: int
    files: int
    packages: tuple[Package, ...]
    writable: tuple[str, ...]
    built_at: datetime
