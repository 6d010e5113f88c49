"""Recipe -> image, with what every server of bluestone's carries laid in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.image.archive import resolve
from bluestone.image.build import build_key
from bluestone.logs.ship.agent import agent
from bluestone.model.image import Image
from bluestone.model.recipe import Recipe


def full_recipe(project: Project) -> Recipe:
    """The declared recipe and, beneath it, the agent that ships the journal."""
    recipe, shipper = project.declaration.recipe, agent()
    return replace(
        recipe,
        packages=tuple(sorted({*recipe.packages, *shipper.packages})),
        files=(*shipper.files, *recipe.files),
        units=(*shipper.units, *recipe.units),
        run=(*shipper.run, *recipe.run),
    )


def image_key(project: Project) -> str:
    """What names the inputs of the project's image. Raises `Problem`."""
    recipe = full_recipe(project)
    return build_key(recipe, resolve(recipe.base))


def build_image(project: Project, progress: Callable[[str], None], *, refresh: bool = False) -> Image:
    """The project's image, built if it is not in the store; with `refresh`, from the archive of today."""
    from bluestone.image.build import build

    recipe = full_recipe(project)
    return build(recipe, wiring.images(project), wiring.engine(), progress=progress, refresh=refresh)
