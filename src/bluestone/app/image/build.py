"""Recipe and lock -> image, with what every server of bluestone's carries laid in."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.image.provenance import attest
from bluestone.app.project import Project
from bluestone.image.build import build_key
from bluestone.image.inputs import digest, file_inputs
from bluestone.image.provision import hooks
from bluestone.logs.ship.agent import agent
from bluestone.model.image import Image
from bluestone.model.lock import Lock
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


def image_key(project: Project, lock: Lock) -> str:
    """What names the inputs of the project's image. Raises `Problem`."""
    return build_key(full_recipe(project), lock)


def unlocked_key(project: Project) -> str:
    """What names the inputs of an image that is not locked yet. Raises `Problem`."""
    recipe = full_recipe(project)
    return digest(
        {
            "recipe": replace(recipe, files=(), puppet=None, ansible=None),
            "files": [file_inputs(file) for file in recipe.files],
            "hooks": hooks.inputs(recipe),
        }
    )


def build_image(
    project: Project,
    lock: Lock,
    progress: Callable[[str], None],
    *,
    scratch: bool = False,
    twice: bool = False,
) -> Image:
    """The project's image by its lock, built if it is not in the store, and signed by the project's key.

    With `scratch` it is built from nothing in any case, and with `twice` provisioned twice. What was made by patching
    is then proved in the background. Raises `Problem`.
    """
    from bluestone.image.build import build

    store, engine = wiring.images(project), wiring.engine()
    image = build(full_recipe(project), lock, store, engine, progress=progress, scratch=scratch, twice=twice)
    store.touch(image.digest)
    attest(project, image)
    if prove_patches(project):
        progress("what was patched is now built from nothing as well, in the background, and compared")
    return image


def prove_patches(project: Project) -> bool:
    """Begin, in the background, the proofs of patched images that are not proved yet; return whether there are any."""
    from bluestone.image.prove import begin

    return begin(wiring.images(project), wiring.engine())
