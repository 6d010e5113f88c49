"""Digests of what an image is made of besides packages: the files that its recipe lays on them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from bluestone.image.provision import hooks
from bluestone.image.tree import hash_file
from bluestone.model.problem import Problem
from bluestone.model.recipe import OverlayFile, Recipe

ARCHIVE_KEY = "image.archives."
DEB = "image.debs."
"""Beginnings of the names of inputs that decide which packages there are."""


def inputs(recipe: Recipe) -> dict[str, str]:
    """The digest of each file, hook, key and package file, by the key of the declaration that names it.

    Raises `Problem` for one that cannot be read.
    """
    found = {f'image.files."{file.target}"': digest(file_inputs(file)) for file in recipe.files}
    if recipe.run:
        found["image.run"] = digest(recipe.run)
    found |= {key: digest(value) for key, value in hooks.inputs(recipe).items()}
    for archive in recipe.archives:
        found[f"{ARCHIVE_KEY}{archive.name}.key"] = _hash(archive.key, ARCHIVE_KEY)
    for deb in recipe.debs:
        found[f'{DEB}"{deb.name}"'] = _hash(deb.path, DEB)
    return found


def digest(value: object) -> str:
    """SHA-256 of a value, in hexadecimal: the same for the same value."""
    text = msgspec.json.encode(value, order="deterministic", enc_hook=str)
    return hashlib.sha256(text).hexdigest()


def _hash(path: Path, key: str) -> str:
    try:
        return hash_file(bytes(path))
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}", mend=f"correct {key.rstrip('.')}") from error


def file_inputs(file: OverlayFile) -> dict[str, object]:
    """All of a laid file that decides what the image has of it. Raises `Problem` if it cannot be read."""
    described: dict[str, object] = {"target": file.target, "mode": file.mode, "owner": file.owner}
    if file.source is None:
        return described | {"content": file.content}
    try:
        return described | {"source": _contents(file.source)}
    except OSError as error:
        raise Problem(
            f"{error.filename or file.source} cannot be read: {error.strerror}",
            mend="correct image.files, or the file",
        ) from error


def _contents(source: Path) -> list[list[str]]:
    """Names, kinds and contents at and below a source, in order. A source that is a link itself is followed."""
    below = sorted(source.rglob("*")) if source.is_dir() else []
    return [_content("", source.resolve()), *(_content(str(path.relative_to(source)), path) for path in below)]


def _content(name: str, path: Path) -> list[str]:
    if path.is_symlink():
        return [name, "link", str(path.readlink())]
    if path.is_dir():
        return [name, "directory"]
    if path.exists() and not path.is_file():
        # Reading a fifo would wait for ever.
        raise Problem(f"{path} is neither a file nor a directory", mend="take it out of image.files")
    with path.open("rb") as file:
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        return [name, "file", executable, hashlib.file_digest(file, "sha256").hexdigest()]
