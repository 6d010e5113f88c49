"""The engine port: what fills a tree with the packages of a lock, and what turns such a tree into another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import Lock

NO_INITRD = {"INITRD": "No"}
"""Variables by which kernels' scripts (/etc/kernel/postinst.d) make no initrd: no image holds it (`lockdown.REMOVED`),
and making it takes as long as a base."""


class Engine(Protocol):
    """Installs locked packages into an empty tree.

    Given the same arguments, the tree is the same once it is normalised: it comes from the package store alone,
    without a network. An engine works within `sandbox.enclosed`, in a process that owns the tree (root, or the root
    of a user namespace): whatever it starts or mounts ends with that process. There it is made anew, without
    arguments, by the name of its class: so the class is to be found at the top of its module.
    """

    name: str

    def version(self) -> str:
        """The engine's version. Raises `MissingTool`."""

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]) -> None:
        """Fill the empty directory `root` with the lock's packages. It is not normalised yet.

        The packages are in the store (`PackageStore.ensure`), and the lock has all that they depend on. What
        `lockdown.LEFT_OUT` names is not there. The engine may put files of its own beside `root` (not below it), in
        the directory that `root` is in. `progress` gets short lines for people. Raises `Problem`; what is left then
        is the caller's to remove.
        """


@runtime_checkable
class Changer(Engine, Protocol):
    """An engine that can also turn a tree into that of another lock. Those that cannot do not have the method."""

    def can_change(self, before: Lock, after: Lock, root: Path) -> bool:
        """Whether `change` would make of the tree at `root`, which is of `before`, what `install` makes of `after`."""

    def change(
        self, before: Lock, after: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]
    ) -> None:
        """Turn the tree of `before`, which was normalised, into that of `after`: once normalised, as by `install`.

        It is asked to where it said that it can (`can_change`). The tree may be an overlay of one that others use:
        what is not changed is not to be touched. Packages of `after` are in the store. For the rest as `install`.
        """
