"""The hooks of a recipe: which there are, which tools they need, and what they read.

A tool's module is loaded where a recipe has a hook for it: most have none.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from bluestone.image.provision import project
from bluestone.model.recipe import Recipe

if TYPE_CHECKING:
    from bluestone.image.provision.hook import Hook


def hooks(recipe: Recipe) -> list[Hook]:
    """The hooks of a recipe, in the order in which they are carried out."""
    found: list[Hook] = []
    if recipe.puppet:
        from bluestone.image.provision import puppet

        found.append(puppet.hook(recipe.puppet))
    if recipe.ansible:
        from bluestone.image.provision import ansible

        found.append(ansible.hook(recipe.ansible))
    return found


def tools(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """The packages that each tool of a recipe is made of, by what a lock calls the tool."""
    return {hook.tool: tuple(hook.packages) for hook in hooks(recipe)}


def inputs(recipe: Recipe) -> dict[str, object]:
    """All that decides what the hooks do, by the keys of the declaration. Raises `Problem` for what cannot be read."""
    found: dict[str, object] = {}
    if recipe.puppet:
        key, used = "image.puppet", recipe.puppet
        found[key] = [project.contents(used.directory, key), used.manifest, used.facts]
    if recipe.ansible:
        key, plays = "image.ansible", recipe.ansible
        found[key] = [project.contents(plays.directory, key), plays.playbook, plays.variables]
    return found


def own_part(recipe: Recipe) -> list[str]:
    """Digests of what bluestone itself does to carry out the hooks; none if there are none."""
    files = sorted(path for path in Path(__file__).parent.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files] if hooks(recipe) else []
