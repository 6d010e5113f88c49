"""Who vouches for an image: the project's own key, and what it signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bluestone.app.project import Project
from bluestone.model.image import Image
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.image.signing import PublicKey


def public_key(project: Project) -> PublicKey:
    """The key by which the project's signatures are checked, made if it has none. Raises `Problem`."""
    from bluestone.image.signing import own_key, public_of

    return public_of(own_key(_file(project)), _named(project))


def known_key(project: Project) -> PublicKey | None:
    """The same, or None if nothing was ever signed by the project. Raises `Problem`."""
    return public_key(project) if _file(project).exists() else None


def attest(project: Project, image: Image) -> Image:
    """Have the project's key sign how an image came about, unless it has; return the image. Raises `Problem`.

    The store belongs to all projects of this user: what each signs is what its build recorded there.
    """
    from bluestone.host.files import write_atomically
    from bluestone.host.paths import private_directory
    from bluestone.image import provenance
    from bluestone.image.lock.file import digest as lock_digest
    from bluestone.image.lock.stored import read as read_lock
    from bluestone.image.sbom import bills
    from bluestone.image.signing import own_key, public_of, seal
    from bluestone.image.store import LOCK
    from bluestone.image.tree import digest

    key, directory = own_key(_file(project)), image.root.parent
    envelope = directory / provenance.DIRECTORY / f"{public_of(key, '').id}{provenance.SUFFIX}"
    if envelope.exists():
        return image
    try:
        record = msgspec.json.decode((directory / provenance.FILE).read_bytes(), type=provenance.Build)
        lock = read_lock(directory / LOCK)
        whole = digest((directory / "manifest").read_text()) == image.digest
    except (OSError, ValueError) as error:
        raise _unrecorded(image, str(error)) from error
    if lock is None or lock_digest(lock) != record.lock or not whole:
        raise _unrecorded(image, "the lock or the manifest beside it is not that of its build")
    statement = provenance.statement(image.digest, record, lock, bills.digests(image))
    private_directory(envelope.parent)
    write_atomically(envelope, seal(statement, provenance.PAYLOAD_TYPE, key))
    return image


def _file(project: Project) -> Path:
    return project.state / "signing.key"


def _named(project: Project) -> str:
    return f"the key of project {project.name}"


def _unrecorded(image: Image, why: str) -> Problem:
    return Problem(
        f"how the image came about cannot be signed: {why}",
        mend=f"remove {image.root.parent} if no server runs on it, and build it anew",
        left="the image is built, and not signed",
    )
