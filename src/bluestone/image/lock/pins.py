"""Which packages stay at their locked versions, and how apt is told so (apt_preferences(5)). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from bluestone.model.lock import Lock, LockedPackage

ABOVE_ALL = 1001
"""The priority at which apt takes a version even if it is older than one that it has: above 1000."""


class Upgrade(Struct, frozen=True):
    """Which pins may move: `everything`, those of packages of these `names` (binary or source), or those that the
    `security` suite has a newer version of. By itself, none."""

    everything: bool = False
    names: frozenset[str] = frozenset()
    security: bool = False

    def moves(self, package: LockedPackage) -> bool:
        """Whether a package may take whatever version the archives have."""
        return self.everything or package.name in self.names or package.source in self.names

    def unknown(self, lock: Lock) -> list[str]:
        """Names that no locked package has, sorted."""
        return sorted(self.names - {name for package in lock.every for name in (package.name, package.source)})


KEEP = Upgrade()


def preferences(pinned: Iterable[LockedPackage], security: Sequence[str] = ()) -> str:
    """The preferences that keep packages at their versions.

    `security` is what `apt_preferences` calls the suite whose newer versions are taken nevertheless, if any.
    """
    packages = sorted(pinned, key=lambda package: package.key)
    pins = [_pin(package.name, f"version {package.version}") for package in packages]
    if security:
        # Of two versions of the same priority apt takes the newer one.
        pins += [_pin(package.name, f"release {','.join(security)}") for package in packages]
    return "\n".join(pins)


def _pin(name: str, pin: str) -> str:
    return f"Package: {name}\nPin: {pin}\nPin-Priority: {ABOVE_ALL}\n"


def suite_of(release: str) -> list[str]:
    """How `apt_preferences` names the suite of a Release file's text."""
    letters = {"Suite": "a", "Codename": "n", "Origin": "o", "Label": "l"}
    pairs = (line.partition(": ")[::2] for line in release.splitlines())
    return [f"{letters[name]}={value}" for name, value in pairs if name in letters and "," not in value]


def blamed(said: Iterable[str], pinned: Iterable[LockedPackage]) -> set[str]:
    """The keys of pinned packages that apt names where it says why it cannot install what is asked for."""
    text = "\n".join(said).partition("unmet dependencies")[2]
    words = set(re.findall(r"[a-z0-9][a-z0-9+.-]+", text))
    return {package.key for package in pinned if package.name in words}
