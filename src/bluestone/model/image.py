"""A built image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bluestone.model.ids import Digest


@dataclass(frozen=True)
class Package:
    """An installed package: binary name, version and architecture as dpkg says them."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class Image:
    """An image in the store. `root` is its tree on this machine; `size` in bytes; `key` names its inputs."""

    digest: Digest
    key: str
    root: Path
    size: int
    files: int
    packages: tuple[Package, ...]
    writable: tuple[str, ...]
    built_at: datetime
