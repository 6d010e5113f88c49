"""The declaration as a value."""

from __future__ import annotations

from dataclasses import dataclass

from bluestone.model.group import Group
from bluestone.model.recipe import Recipe


@dataclass(frozen=True)
class Declaration:
    """All of `bluestone.toml`. `recipe` is its `[image]`."""

    project: str
    recipe: Recipe
    groups: tuple[Group, ...]
