"""A tree made from another that stays as it is: worked on through an overlay where the kernel has one, else on a copy.

Of what was not changed, the new tree has hard links. So making it costs as much as what was changed, and removing the
one leaves the other whole. It runs in a worker: what is mounted ends with the worker's mount namespace.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bluestone.host.commands import CommandFailed, run
from bluestone.image.normalise import EPOCH
from bluestone.image.overlayfs import clear, is_opaque, is_whiteout, mounted, strip
from bluestone.image.remove import remove_path
from bluestone.image.tree import decode, encode, entry, manifest

LIMIT = 600.0
"""Seconds that linking or copying a tree may take."""


class Derived(Struct, frozen=True):
    """A new tree's manifest, and the paths in which it differs from the one that it was made from, sorted."""

    manifest: str
    changed: tuple[bytes, ...]


def derive(
    below: Path, work: Path, shape: Callable[[Path], None], times: Callable[[Path], None], *, overlay: bool = True
) -> Derived:
    """Make `work/root`: the tree `below/root`, of the manifest `below/manifest`, after `shape` has worked on it.

    `times` then gives what it finds below a directory its times (the directory may hold no more than what was
    changed). Without `overlay` it works on a copy. Raises `OSError`, and what `shape` raises.
    """
    before = (below / "manifest").read_text()
    if overlay and (merged := mounted(work, [below / "root"])):
        upper = work / "upper"
        try:
            shape(merged)
        finally:
            run(["umount", str(merged)], timeout=LIMIT)
        times(upper)
        _link(below / "root", work / "root", before)
        text = _lay_over(upper, work / "root", before)
        clear(work)
    else:
        _copy(below / "root", work / "root")
        shape(work / "root")
        times(work / "root")
        text = manifest(work / "root")
    return Derived(text, _changed(before, text))


def _link(source: Path, target: Path, text: str) -> None:
    """Make the tree of a manifest anew, its files as links to those of a tree that has it; or copies if it must be."""
    try:
        _link_each(os.fsencode(source), os.fsencode(target), text)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # There can be no further link to a file, or none at all, or the tree is not what it was.
        shutil.rmtree(target, ignore_errors=True)
        _copy(source, target)


def _link_each(source: bytes, target: bytes, text: str) -> None:
    """What `cp --archive --link` does, for less: the manifest says what `cp` has to look for."""
    os.mkdir(target)
    os.chmod(target, stat.S_IMODE(os.stat(source).st_mode))
    directories = []
    with _opened(source) as here, _opened(target) as there:
        for line in text.splitlines():
            if not line.startswith("dir "):
                path = _path(line.rpartition(" ")[2])
                os.link(path, path, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
                continue
            _, mode, uid, gid, time, rest = line.split(" ", 5)
            place = target + b"/" + _path(rest.rpartition(" ")[2])
            os.mkdir(place)
            if uid != "0" or gid != "0":
                os.chown(place, int(uid), int(gid))
            os.chmod(place, int(mode, 8))
            directories.append((place, int(time)))
    for place, seconds in directories:
        os.utime(place, (seconds, seconds))
    os.utime(target, (EPOCH, EPOCH))


@contextmanager
def _opened(directory: bytes) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    """Copy a tree. Its inner links are not kept: in an overlay, what is written by one name is not seen by another."""
    try:
        run(["cp", "--archive", "--no-preserve=links", "--", str(source), str(target)], timeout=LIMIT)
    except CommandFailed as failed:
        if "No space left" in failed.stderr or "quota exceeded" in failed.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from failed
        raise


def _lay_over(upper: Path, root: Path, before: str) -> str:
    """Move what is in the upper directory of an overlay over the tree that was the lower; return the manifest."""
    lines = {line.rpartition(" ")[2]: line for line in before.splitlines()}
    base, target = os.fsencode(upper), os.fsencode(root)
    directories = [target]
    for path, status in _walk(base):
        name, source, place = encode(path), base + b"/" + path, target + b"/" + path
        if is_whiteout(status):
            remove_path(place)
            _forget(lines, name)
            continue
        if stat.S_ISDIR(status.st_mode):
            if is_opaque(source) or not _is_directory(place):
                remove_path(place)
                _forget(lines, name)
                os.mkdir(place)
            os.chown(place, status.st_uid, status.st_gid)
            os.chmod(place, stat.S_IMODE(status.st_mode))
            directories.append(place)
            lines[name] = entry(base, path).line()
        else:
            if _is_directory(place):
                _forget(lines, name)
            remove_path(place)
            strip(source)
            os.rename(source, place)
            lines[name] = entry(target, path).line()
    for place in directories:
        os.utime(place, (EPOCH, EPOCH))
    return "".join(f"{lines[name]}\n" for name in sorted(lines, key=_path))


def _walk(base: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """All that is below a directory, each directory before what is in it."""
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        with os.scandir(base + b"/" + directory) as entries:
            for each in entries:
                path = directory + b"/" + each.name if directory else each.name
                if each.is_dir(follow_symlinks=False):
                    waiting.append(path)
                yield path, each.stat(follow_symlinks=False)


def _is_directory(place: bytes) -> bool:
    return os.path.isdir(place) and not os.path.islink(place)


def _forget(lines: dict[str, str], name: str) -> None:
    """Drop a path and all below it."""
    if lines.pop(name, "").startswith("dir "):
        below = f"{name}/"
        for each in [each for each in lines if each.startswith(below)]:
            del lines[each]


def _path(name: str) -> bytes:
    """The path that a manifest names."""
    return decode(name) if "%" in name else name.encode()


def _changed(before: str, after: str) -> tuple[bytes, ...]:
    lines = set(before.splitlines()) ^ set(after.splitlines())
    return tuple(sorted({decode(line.rpartition(" ")[2]) for line in lines}))
