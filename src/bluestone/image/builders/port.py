"""The engine port: what builds the base of an image, the tree of a distribution with its packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import Lock


class Engine(Protocol):
    """Installs locked packages into an empty tree.

    Given the same arguments, the tree is the same once it is normalised: it comes from the package store alone,
    without a network. Whatever the engine started ends with the calling process.
    """

    name: str

    def version(self) -> str:
        """The engine's version. Raises `MissingTool`."""

    def bootstrap(
        self,
        lock: Lock,
        packages: PackageStore,
        names: Sequence[str],
        destination: Path,
        progress: Callable[[str], None],
    ) -> None:
        """Write a tree of the lock's packages of these names to `destination`, as a tar archive.

        The packages are in the store (`PackageStore.ensure`), and the names include all that they depend on.
        The directory of `destination` is the engine's to work in. `progress` gets short lines for people. Raises
        `Problem`; what is left in the directory then is the caller's to remove.
        """
