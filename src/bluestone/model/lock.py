"""Everything that a recipe resolved to: what `bluestone.lock` holds."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

LOCAL = "local"
"""The `archive` of packages that come from files beside the declaration."""


class Release(Struct, frozen=True):
    """A suite of an archive as it was on the day: its signed Release file.

    `archive` is `main`, `security`, or the name of a declared archive; its URI is not part of a lock, since each
    machine may use its own mirror. `sha256` is of the Release file's text, without its signature.
    """

    archive: str
    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    sha256: str


class LockedPackage(Struct, frozen=True):
    """One binary package, pinned: `sha256` and `size` (bytes) of its .deb, `path` of it below its archive's URI.

    `archive` and `suite` name the `Release` that it comes from; for a local .deb, `archive` is `local` and `path` is
    relative to the declaration. `required` is whether the base stage has it (Essential, or of priority required,
    apt, and what these depend on).
    """

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    path: str
    archive: str
    suite: str
    source: str
    source_version: str
    required: bool = False

    @property
    def key(self) -> str:
        """`name:architecture`: one package of a tree, whatever its version."""
        return f"{self.name}:{self.architecture}"


class Lock(Struct, frozen=True):
    """A recipe's pins.

    `base` is `distribution:suite`; `asked` are the packages that were named, by the recipe or by bluestone itself;
    `date` is the build date, in seconds since 1970 (SOURCE_DATE_EPOCH): that of the newest release, so that the
    same archive gives the same lock. `inputs` are SHA-256 digests of what is not a package (files, hooks), by the
    key of the declaration that names it. `tools` are the packages of tools that work on an image at build time and
    are not left in it (such as `puppet`), by the tool's name.
    """

    base: str
    architecture: str
    date: int
    asked: tuple[str, ...]
    releases: tuple[Release, ...]
    packages: tuple[LockedPackage, ...]
    inputs: dict[str, str] = field(default_factory=dict)
    tools: dict[str, tuple[LockedPackage, ...]] = field(default_factory=dict)

    @property
    def every(self) -> tuple[LockedPackage, ...]:
        """All packages, those of tools among them."""
        return (*self.packages, *(package for packages in self.tools.values() for package in packages))
