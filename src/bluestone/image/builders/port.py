"""The engine port: what builds the base of an image, the tree of a distribution with its packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from bluestone.image.archive import ResolvedBase


class Engine(Protocol):
    """Installs packages of a distribution into an empty tree.

    Given the same arguments and an unchanged archive, the tree is the same once it is normalised. Signatures
    of the archive are always checked. Whatever the engine started ends with the calling process.
    """

    name: str

    def version(self) -> str:
        """The engine's version. Raises `MissingTool`."""

    def bootstrap(
        self,
        base: ResolvedBase,
        packages: Sequence[str],
        destination: Path,
        progress: Callable[[str], None],
    ) -> None:
        """Write the tree as a tar archive to `destination`, in a directory that is the engine's to work in.

        `progress` gets short lines for people. Raises `Problem`; what is left in the directory then is the
        caller's to remove.
        """
