"""What is to be locked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from bluestone.image.archive import ResolvedBase


class Wanted(Struct, frozen=True):
    """What is to be locked: packages by name, beside the base's own; local files; each tool's packages.

    `debs` are the paths of local packages, by what the declaration calls them. `inputs` go into the lock unchanged.
    """

    base: ResolvedBase
    asked: tuple[str, ...]
    debs: Mapping[str, Path] = field(default_factory=dict)
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The base as a lock names it."""
        return f"{self.base.distribution}:{self.base.suite}"
