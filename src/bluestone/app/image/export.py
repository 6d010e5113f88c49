"""Images taken out of the store, in formats that others know, and the tools that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bluestone.app import wiring
from bluestone.app.image.choose import chosen
from bluestone.app.project import Project

if TYPE_CHECKING:
    from bluestone.image.formats.export import Export, Format
    from bluestone.image.formats.oci import Compression


def packing_tools(project: Project, progress: Callable[[str], None]) -> Path:
    """The root of the tree of the tools that pack images, built once on a machine by a lock of its own.

    Raises `Problem`.
    """
    from bluestone.image.build import build
    from bluestone.image.formats.tools import LOCK, recipe
    from bluestone.image.lock.stored import own_lock

    def tell(text: str) -> None:
        progress(f"tools: {text}")

    wanted, store = recipe(project.declaration.recipe.base), wiring.images(project)
    lock = own_lock(wanted, store.directory / LOCK, store.packages, tell)
    return build(wanted, lock, store, wiring.engine(), progress=tell).root


def export_image(
    project: Project,
    image: str | None,
    destination: Path,
    wanted: Format,
    progress: Callable[[str], None],
    *,
    force: bool = False,
    compression: Compression = "none",
) -> Export:
    """Write an image (see `chosen`) to a place outside of the store. Raises `Problem`."""
    from bluestone.image.formats.export import export

    return export(
        chosen(project, image),
        destination,
        wanted,
        project.name,
        progress,
        force=force,
        compression=compression,
        find_tools=lambda: packing_tools(project, progress),
    )
