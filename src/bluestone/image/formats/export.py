"""Takes an image out of the store, in a format that others know."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from bluestone.image.formats.oci import Compression
from bluestone.image.tree import hash_file
from bluestone.model.ids import Digest, short
from bluestone.model.image import Image
from bluestone.model.problem import Problem

Format = Literal["oci", "oci-tar", "disk", "tar"]

Progress = Callable[[str], None]


class Export(Struct, frozen=True):
    """What was written. `digest` is that of the manifest for OCI, else of the file; `size` in bytes.

    `root_hash` is the hash of a disk's root, in hexadecimal.
    """

    image: Digest
    format: Format
    destination: Path
    size: int
    digest: Digest
    root_hash: str | None = None


def export(
    image: Image,
    destination: Path,
    wanted: Format,
    name: str,
    progress: Progress,
    *,
    force: bool = False,
    compression: Compression = "none",
    find_tools: Callable[[], Path],
) -> Export:
    """Write an image to `destination`, which is there as a whole afterwards, or as it was before.

    With `force`, what is there is replaced; of directories, none but an OCI layout. `name` is how a container engine
    shall call the image. `find_tools` gives the root of the tools' tree, where they are needed. Raises `Problem`.
    """
    destination = destination.absolute()
    _check_place(destination, force=force)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as work:
        draft = Path(work) / "draft"
        done = _write(image, draft, wanted, f"{name}:{short(image.digest)}", progress, compression, find_tools)
        _place(draft, destination)
    return Export(image.digest, wanted, destination, *done)


def _write(
    image: Image,
    draft: Path,
    wanted: Format,
    name: str,
    progress: Progress,
    compression: Compression,
    find_tools: Callable[[], Path],
) -> tuple[int, Digest, str | None]:
    """Write the draft; return its size, digest, and root hash."""
    if wanted == "disk":
        from bluestone.image.formats.disk import make_disk
        from bluestone.image.formats.kernel import find_kernel
        from bluestone.image.formats.layer import entries

        # Before the tools, which may take a while to get.
        find_kernel(entries(image.root))
        disk = make_disk(image.root, find_tools(), draft, progress)
        return disk.size, _digest(draft), disk.root_hash
    if wanted == "tar":
        from bluestone.image.formats.tar import make_tar

        return make_tar(image.root, draft, progress), _digest(draft), None
    from bluestone.image.formats.oci import make_oci

    archive = wanted == "oci-tar"
    tools_root = None if compression == "none" else find_tools()
    oci = make_oci(image.root, draft, name, progress, archive=archive, compression=compression, tools_root=tools_root)
    return draft.stat().st_size if archive else oci.size, Digest(oci.digest), None


def _check_place(destination: Path, *, force: bool) -> None:
    """Refuse, before any work, a place that cannot or must not be written to."""
    if not destination.parent.is_dir():
        raise Problem(f"there is no directory {destination.parent}", mend="make it, or choose another destination")
    if destination.is_dir() and not destination.is_symlink():
        if not (destination / "oci-layout").is_file():
            raise Problem(f"{destination} is a directory", mend="name a file or directory that is not there yet")
    elif not (destination.exists() or destination.is_symlink()):
        return
    elif not destination.is_file():
        raise Problem(f"{destination} is no ordinary file", mend="choose another destination")
    if not force:
        raise Problem(f"{destination} is there already", mend="choose another destination, or replace it with --force")


def _place(draft: Path, destination: Path) -> None:
    """Move the draft into its place. A file takes another's place at once; a directory is moved aside first."""
    if destination.is_dir() or (draft.is_dir() and destination.exists()):
        aside = draft.with_name("replaced")
        destination.rename(aside)
        try:
            draft.rename(destination)
        except OSError:
            aside.rename(destination)
            raise
    else:
        draft.replace(destination)


def _digest(path: Path) -> Digest:
    return Digest(f"sha256:{hash_file(os.fsencode(path))}")
