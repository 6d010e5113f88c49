"""`verify`: whether an image is what somebody who is trusted says it is; and whether it comes out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bluestone.app import wiring
from bluestone.app.image.build import full_recipe
from bluestone.app.image.choose import chosen
from bluestone.app.image.provenance import known_key
from bluestone.app.project import Project
from bluestone.model.image import Image
from bluestone.model.lock import Lock

if TYPE_CHECKING:
    from bluestone.image.checks import Check
    from bluestone.image.provenance import Statement

Progress = Callable[[str], None]


def verify(
    project: Project, image: str | None, keys: Sequence[Path], progress: Progress, *, rebuild: bool = False
) -> tuple[Image, list[Check]]:
    """Check an image (see `chosen`): signature, lock, tree, bills and, with `rebuild`, a build from its lock.

    Trusted are the project's own key, if it has one, and those in the files `keys`. Raises `Problem`.
    """
    from bluestone.image import checks
    from bluestone.image.signing import read_public

    found, own, store = chosen(project, image), known_key(project), wiring.images(project)
    trusted = [*([own] if own else []), *(read_public(file) for file in keys)]
    signature, statement = checks.signature(found, trusted)
    locked, lock = checks.lock(found, statement)
    made = [signature, locked, checks.tree(found), checks.sbom(found, statement, store)]
    if rebuild:
        made.append(_rebuilt(project, found, statement, lock, progress))
    return found, made


def _rebuilt(
    project: Project, image: Image, statement: Statement | None, lock: Lock | None, progress: Progress
) -> Check:
    """Whether building anew, from the lock beside the image and the packages of the store alone, gives the same."""
    from bluestone.image.build import build
    from bluestone.image.checks import UNSIGNED, Check, listed
    from bluestone.image.store import ImageStore
    from bluestone.image.tree import differences

    if statement is None or lock is None:
        return Check("rebuild", False, f"not tried: {UNSIGNED}")
    if unlike := list(_undeclared(project, statement, lock)):
        what = f"not tried: what is declared now is not what the image was built from{listed(unlike)}"
        return Check("rebuild", False, what, "take the declaration and its files of that time from version control")
    store = wiring.images(project)
    with store.workplace() as work:
        scratch = ImageStore(work / "images")
        scratch.directory.mkdir(mode=0o700)
        (scratch.directory / "packages").symlink_to(store.packages.directory.absolute())
        again = build(full_recipe(project), lock, scratch, wiring.engine(), progress=progress)
        if again.digest == image.digest:
            return Check("rebuild", True, "built anew from its lock, it is the same to the byte")
        manifests = [(each.root.parent / "manifest").read_text() for each in (image, again)]
        what = f"built anew from its lock, it is another image, {again.digest}{listed(differences(*manifests))}"
        mend = f"see which of the two is right; it was built by {statement.engine}"
        return Check("rebuild", False, what, mend)


def _undeclared(project: Project, statement: Statement, lock: Lock) -> Iterator[str]:
    """Keys of the declaration that are not as they were when the image was built."""
    from bluestone.image.inputs import inputs
    from bluestone.image.lock.agree import stale_inputs
    from bluestone.image.provenance import parameters

    now, then = parameters(full_recipe(project)), statement.parameters
    yield from (f"image.{key}" for key in sorted({*now, *then}) if now.get(key) != then.get(key))
    yield from stale_inputs(lock, inputs(project.declaration.recipe))
