"""A directory of the project that a tool works from: what it holds, and a copy of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bluestone.image.tree import hash_file
from bluestone.model.problem import Problem

IGNORED = (".git",)
"""Names that are passed over: what version control keeps there differs from clone to clone."""

MOST_PATHS = 50_000
MOST_BYTES = 512 * 1024 * 1024
"""What one directory may hold; all of it is read for every plan."""


def paths(directory: Path, key: str) -> Iterator[Path]:
    """Everything below a directory, in order, directories before what is in them.

    Raises `Problem` for what is no file, directory or link within, and for more than is sensible; and `OSError`.
    """
    number = size = 0
    real = directory.resolve()
    for place, names, files in os.walk(real, onerror=_refuse):
        names[:] = sorted(name for name in names if name not in IGNORED)
        for name in sorted([*names, *files]):
            path = Path(place, name)
            status = path.lstat()
            number, size = number + 1, size + status.st_size
            if number > MOST_PATHS or size > MOST_BYTES:
                raise Problem(
                    f"{directory} holds more than {MOST_PATHS} files, or more than {MOST_BYTES >> 20} MiB",
                    mend=f"leave in it what {key} needs; large files are for image.files or a package",
                )
            _require_sound(path, status, real, key)
            yield path.relative_to(real)


def contents(directory: Path, key: str) -> list[list[str]]:
    """Names, kinds and contents below a directory, in order. Raises `Problem`."""
    try:
        real = directory.resolve(strict=True)
        return [[str(path), *_content(real / path)] for path in paths(directory, key)]
    except OSError as error:
        raise Problem(
            f"{error.filename or directory} cannot be read: {error.strerror}", mend=f"correct {key}, or the file"
        ) from error


def copy(directory: Path, target: Path, key: str) -> None:
    """A copy of a directory, all of root's, readable for everybody, at a new place. Raises `Problem` and `OSError`.

    Of a file's mode only whether it is executable is kept, as in version control.
    """
    target.mkdir(parents=True, mode=0o755)
    real = directory.resolve(strict=True)
    for path in paths(directory, key):
        source, place = real / path, target / path
        if source.is_symlink():
            place.symlink_to(source.readlink())
        elif source.is_dir():
            place.mkdir(mode=0o755)
        else:
            place.write_bytes(source.read_bytes())
            place.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)


def _content(path: Path) -> list[str]:
    if path.is_symlink():
        return ["link", str(path.readlink())]
    if path.is_dir():
        return ["directory"]
    return ["file", "x" if path.stat().st_mode & stat.S_IXUSR else "-", hash_file(bytes(path))]


def _require_sound(path: Path, status: os.stat_result, directory: Path, key: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        link = path.readlink()
        if link.is_absolute() or not path.resolve().is_relative_to(directory):
            raise Problem(
                f"{path} is a link that leads out of {directory} (to {link})",
                mend=f"put into {key}.directory what is meant, or make the link relative to it",
            )
    elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise Problem(f"{path} is neither a file nor a directory", mend=f"take it out of {key}.directory")


def _refuse(error: OSError) -> None:
    raise error
