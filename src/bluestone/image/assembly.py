"""The order that a build gives to the worker that assembles an image (`assemble`), which loads much more than this."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from bluestone.model.recipe import Recipe


class Assembly(Struct, frozen=True):
    """What to assemble: `stage` is the directory of the packages' stage, `work` the one to work in.

    `limit` is how many seconds each command and tool of the recipe may take; `tools` are the packages, in the store,
    that each tool is made of. With `twice` what provisions is applied a second time, which must change nothing.
    """

    stage: Path
    work: Path
    recipe: Recipe
    limit: float
    tools: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    twice: bool = False
