"""What a server is handed at its start, as the content of a small disk: a plain tar archive, nothing around it.

The initrd of the image's disk finds it by its serial number and unpacks it to `/run/bluestone`.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from bluestone.model.problem import Problem


def machine_id(project: str, server: str) -> str:
    """The 128 bits of machine-id(5) in hexadecimal: names are never used twice, so nor is this."""
    return hashlib.sha256(f"{project}/{server}".encode()).hexdigest()[:32]


def archive(project: str, server: str, bootfiles: Mapping[str, bytes]) -> bytes:
    """The archive (ustar): the boot files for root alone, and the server's `hostname` and `machine-id`.

    Raises `Problem` for a path that leads elsewhere.
    """
    own = {"hostname": f"{server}\n".encode(), "machine-id": f"{machine_id(project, server)}\n".encode()}
    files = {_relative(name): content for name, content in {**bootfiles, **own}.items()}
    above = {parent for path in files for parent in path.parents} - {PurePosixPath(".")}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for directory in sorted(above):
            entry = tarfile.TarInfo(str(directory))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(entry)
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(str(path))
            entry.size, entry.mode = len(data), 0o444 if path.name == "machine-id" else 0o400
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def _relative(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise Problem(f'the boot file "{name}" is outside of /run/bluestone', mend="use a relative path")
    return path
