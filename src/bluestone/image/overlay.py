"""Lays the files of a recipe into a tree, following no link out of it."""

from __future__ import annotations

import os
from pathlib import Path

from bluestone.model.problem import Problem
from bluestone.model.recipe import OverlayFile

MAX_LINKS = 40
"""Symbolic links followed on the way to one target, as many as the kernel does (path_resolution(7))."""


def lay(file: OverlayFile, root: Path) -> None:
    """Put a file, or a directory with all below it, in its place. Raises `Problem` and `OSError`."""
    uid, gid = owner_ids(root, file.owner)
    if file.source is None:
        _write(within(root, file.target), (file.content or "").encode(), file.mode or 0o644, uid, gid)
    elif file.source.is_dir():
        _lay_directory(root, file.source, file.target, file.mode, uid, gid)
    else:
        _copy(file.source, within(root, file.target), file.mode, uid, gid)


def make_directory(root: Path, target: str, uid: int = 0, gid: int = 0) -> Path:
    """The directory that a path of the server's leads to, made if it is not there; those above it are root's."""
    path = within(root, target, last=True)
    _make(path, uid, gid)
    return path


def within(root: Path, target: str, *, last: bool = False) -> Path:
    """A path of the server's as one of this machine's: links are followed as the server would follow them.

    A link at the very end is followed with `last` alone; else it is what gets replaced. Raises `Problem` for a
    circle of links.
    """
    place, waiting, links = root, _parts(target), 0
    while waiting:
        part = waiting.pop(0)
        if part == "..":
            place = place if place == root else place.parent
            continue
        place = place / part
        if place.is_symlink() and (waiting or last):
            links += 1
            if links > MAX_LINKS:
                raise Problem(f"{target} leads through too many links", mend="choose another target")
            link = str(place.readlink())
            waiting = _parts(link) + waiting
            place = root if link.startswith("/") else place.parent
    return place


def owner_ids(root: Path, owner: str) -> tuple[int, int]:
    """The numbers of `user` or `user:group`, as the tree's own passwd and group say. Raises `Problem`."""
    user, _, group = owner.partition(":")
    if user.isdigit():
        uid = gid = int(user)
    else:
        row = _row(root / "etc" / "passwd", user, f'no user is called "{user}" in the image')
        uid, gid = int(row[2]), int(row[3])
    if group.isdigit():
        gid = int(group)
    elif group:
        gid = int(_row(root / "etc" / "group", group, f'no group is called "{group}" in the image')[2])
    return uid, gid


def _lay_directory(root: Path, source: Path, target: str, mode: int | None, uid: int, gid: int) -> None:
    directory = make_directory(root, target, uid, gid)
    for path in sorted(source.iterdir()):
        place = directory / path.name
        if path.is_symlink():
            _clear(place)
            place.symlink_to(path.readlink())
            os.lchown(place, uid, gid)
        elif path.is_dir():
            _lay_directory(root, path, f"{target}/{path.name}", mode, uid, gid)
        else:
            _copy(path, place, mode, uid, gid)


def _copy(source: Path, target: Path, mode: int | None, uid: int, gid: int) -> None:
    if not source.is_file():
        raise Problem(f"{source} is neither a file nor a directory", mend="take it out of image.files")
    executable = source.stat().st_mode & 0o100
    _write(target, source.read_bytes(), mode or (0o755 if executable else 0o644), uid, gid)


def _write(target: Path, content: bytes, mode: int, uid: int, gid: int) -> None:
    _make(target.parent)
    _clear(target)
    target.write_bytes(content)
    os.chown(target, uid, gid)
    target.chmod(mode)


def _make(path: Path, uid: int = 0, gid: int = 0) -> None:
    if path.is_dir():
        return
    if path.exists():
        raise Problem(
            f"{path.name} is no directory in the image, and something is to be laid below it",
            mend="choose another target in image.files",
        )
    _make(path.parent)
    path.mkdir()
    path.chmod(0o755)
    os.chown(path, uid, gid)


def _clear(target: Path) -> None:
    """Make room. What is there is never written to, as it may have other names."""
    if target.is_dir() and not target.is_symlink():
        raise Problem(
            f"{target.name} is a directory in the image, and a file is to be laid over it",
            mend="lay a directory over it, or choose another target in image.files",
        )
    target.unlink(missing_ok=True)


def _row(file: Path, name: str, missing: str) -> list[str]:
    for line in file.read_text().splitlines():
        row = line.split(":")
        if row[0] == name and len(row) > 3 - (file.name == "group"):
            return row
    raise Problem(
        missing, mend="install the package that brings it, correct owner in image.files, or chown in image.run"
    )


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
