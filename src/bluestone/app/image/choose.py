"""The image that a person means."""

from __future__ import annotations

from bluestone.app import wiring
from bluestone.app.image.build import image_key
from bluestone.app.image.lock import peek
from bluestone.app.project import Project
from bluestone.model.ids import short
from bluestone.model.image import Image
from bluestone.model.problem import Problem


def chosen(project: Project, text: str | None) -> Image:
    """The image of a digest or of the beginning of one; without either, that of the declaration.

    Raises `Problem` if there is none, or if several begin so.
    """
    store = wiring.images(project)
    if text is None:
        lock = peek(project)
        image = store.find(image_key(project, lock)) if lock else None
        if image is None:
            raise Problem("the image of the declaration is not built", mend="build it: bluestone build")
        return image
    found = [image for image in store.list() if image.digest.removeprefix("sha256:").startswith(_hex(text))]
    if not found:
        raise Problem(f"no image on this machine has a digest that begins with {text}", mend="see `bluestone images`")
    if len(found) > 1:
        raise Problem(
            f"{len(found)} images have digests that begin with {text}: {', '.join(short(i.digest) for i in found)}",
            mend="give more of its digits",
        )
    return found[0]


def _hex(text: str) -> str:
    digits = text.removeprefix("sha256:").lower()
    if not digits or not set(digits) <= set("0123456789abcdef"):
        raise Problem(f'"{text}" is no digest of an image', mend="see `bluestone images`")
    return digits
