"""Who vouches for an image: the project's own key, and what it signed."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bluestone.app.project import Project
from bluestone.image import provenance
from bluestone.model.ids import short
from bluestone.model.image import Image
from bluestone.model.intoto import PAYLOAD_TYPE
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.image.signing import PublicKey


HELD = ".held"
"""How the names of files end that say: a project found the signatures beside them to hold."""


def public_key(project: Project) -> PublicKey:
    """The key by which the project's signatures are checked, made if it has none. Raises `Problem`."""
    from bluestone.image.signing import own_key, public_of

    return public_of(own_key(_file(project)), _named(project))


def known_key(project: Project) -> PublicKey | None:
    """The same, or None if nothing was ever signed by the project. Raises `Problem`."""
    return public_key(project) if _file(project).exists() else None


def attest(project: Project, image: Image) -> Image:
    """Have the project's key sign how an image came about, unless it has; return the image.

    The store belongs to all projects of this user: what each signs is what its build recorded there. Raises `Problem`,
    also where the key has signed, and the signature does not hold.
    """
    if not _held(project, image).exists():
        _sign(project, image)
        require_signed(project, image)
    return image


def require_signed(project: Project, image: Image) -> None:
    """Raise `Problem` unless the project's key signed the image, so that servers may be started of it.

    What was found to hold is not checked again while key and signatures are the same. The tree is not read:
    `app.verify` does that.
    """
    held = _held(project, image)
    if held.exists():
        return
    from bluestone.host.paths import private_directory
    from bluestone.image import checks
    from bluestone.image.tree import digest

    key = known_key(project)
    check, _ = checks.signature(image, [key] if key else [])
    if not check.ok:
        raise Problem(
            f"{project.name} starts no servers of the image {short(image.digest)}: {check.what}",
            mend="look at all of it: bluestone verify; if the rest is well, remove the signature that is not, and have "
            "the image signed anew: bluestone build",
        )
    if digest((image.root.parent / "manifest").read_text()) != image.digest:
        raise Problem(
            f"the image {short(image.digest)} was changed: its manifest is not what it is named after",
            mend=checks.REPLACE,
        )
    private_directory(held.parent)
    held.touch()


def seal_by_project(project: Project, payload: bytes) -> bytes:
    """An envelope around an in-toto statement that the project's key signs. Raises `Problem`."""
    from bluestone.image.signing import own_key, seal

    return seal(payload, PAYLOAD_TYPE, own_key(_file(project)))


def _sign(project: Project, image: Image) -> None:
    """Have the project's key sign what the build of an image recorded, unless there is a signature of its."""
    from bluestone.host.files import write_atomically
    from bluestone.host.paths import private_directory
    from bluestone.image.lock.file import digest as lock_digest
    from bluestone.image.lock.stored import read as read_lock
    from bluestone.image.sbom import bills
    from bluestone.image.signing import own_key, public_of, seal
    from bluestone.image.store import LOCK
    from bluestone.image.tree import digest

    key, directory = own_key(_file(project)), image.root.parent
    envelope = directory / provenance.DIRECTORY / f"{public_of(key, '').id}{provenance.SUFFIX}"
    if envelope.exists():
        return
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
    write_atomically(envelope, seal(statement, PAYLOAD_TYPE, key))


def _held(project: Project, image: Image) -> Path:
    """The file that is there once the signatures on an image, as they are now, were found to hold for this project.

    Nobody but the project can tell its name. It is beside the signatures, and goes with them.
    """
    directory = image.root.parent / provenance.DIRECTORY
    files = [_file(project), *sorted(directory.glob(f"*{provenance.SUFFIX}"))]
    seen = hmac.new(project.key, image.digest.encode(), "sha256")
    for file in files:
        with suppress(FileNotFoundError):
            seen.update(hashlib.sha256(file.read_bytes()).digest())
    return directory / f"{seen.hexdigest()}{HELD}"


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
