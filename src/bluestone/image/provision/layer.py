"""A tool lent to a tree: it is there while it works, and nothing of it afterwards.

The tool's packages are unpacked into a directory of their own; none of their scripts is run. Where the kernel mounts
an overlay there, tree and tool are seen as one, the tree above, and what is written goes to a third directory, which
is then carried into the tree. Where it does not (the directory is on an overlay itself, say), the tool is copied into
the tree, and what is still as it was copied is taken out again. Both leave the same.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bluestone.image.overlayfs import is_opaque, is_whiteout, mounted, strip
from bluestone.image.remove import remove_path
from bluestone.image.tree import hash_file
from bluestone.model.problem import Problem

LIMIT = 300.0
"""Seconds that unpacking one package, or a mount, may take."""

LINKED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
"""Directories that a tree has in /usr, and some packages still ship at the top (hier(7))."""

LEFT_OUT = ("./usr/share/doc", "./usr/share/info", "./usr/share/locale", "./usr/share/man")


def unpack(debs: Sequence[Path], directory: Path) -> None:
    """Unpack packages of the store (each named by its SHA-256) into a new directory. Raises `Problem`."""
    directory.mkdir(mode=0o755)
    for link, target in LINKED.items():
        (directory / target).mkdir(parents=True)
        (directory / link).symlink_to(target)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda deb: _unpack(deb, directory), debs):
            pass


def _unpack(deb: Path, directory: Path) -> None:
    if hash_file(bytes(deb)) != deb.stem:
        raise Problem(
            f"{deb} was damaged: its SHA-256 is not its name",
            mend="remove it: it is fetched again when it is needed",
        )
    options = ("--numeric-owner", "--preserve-permissions", "--keep-directory-symlink")
    command = ["tar", "-x", "-C", str(directory), *options, *(f"--exclude={each}" for each in LEFT_OUT)]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as reader:
        done = subprocess.run(command, stdin=reader.stdout, capture_output=True, text=True, check=False, timeout=LIMIT)
    if done.returncode or reader.returncode:
        full = "No space left" in done.stderr or "quota exceeded" in done.stderr
        raise Problem(
            "the disk is full: a tool could not be unpacked" if full else f"{deb} cannot be unpacked: {done.stderr}",
            mend="free some space, or set BLUESTONE_HOME to a directory on a larger disk"
            if full
            else "look at the disk: dmesg",
        )


@contextmanager
def lent(root: Path, place: Path, *, overlay: bool = True) -> Iterator[Path]:
    """A tree with the tool `place`/tool in it, and `place`/room as its /run; afterwards, what was made of it.

    To be called in `enclosed`. `overlay` is whether to try one. After an exception the tree is not to be used.
    """
    tool, room = place / "tool", place / "room"
    if overlay and (view := mounted(place, [root, tool])):
        with _run_directory(view, room):
            yield view
        _umount(view)
        carry(place / "upper", root, tool)
    else:
        brought = merge(tool, root)
        with _run_directory(root, room):
            yield root
        take_out(brought, root, tool)


@contextmanager
def _run_directory(root: Path, room: Path) -> Iterator[None]:
    # Followed as a path of this machine, a link would lead out of the tree.
    if not (root / "run").is_dir() or (root / "run").is_symlink():
        raise Problem("/run is no directory in the image", mend="leave /run to the base")
    subprocess.run(["mount", "--bind", str(room), str(root / "run")], check=True, timeout=LIMIT)
    yield
    _umount(root / "run")


def _umount(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True, timeout=LIMIT)


def carry(upper: Path, root: Path, tool: Path) -> None:
    """Make in `root` the changes that overlayfs wrote to `upper`, which is left in pieces.

    What is in the end as the tool brought it is not carried.
    """
    for path in sorted(upper.iterdir()):
        target, lower = root / path.name, tool / path.name
        if is_whiteout(path.lstat()):
            remove_path(target)
        elif path.is_dir() and not path.is_symlink():
            _carry_directory(path, target, lower)
        elif os.path.lexists(target) or not same(path, lower):
            remove_path(target)
            strip(path)
            _move(path, target)


def _carry_directory(path: Path, target: Path, lower: Path) -> None:
    if is_opaque(path) or target.is_symlink() or not target.is_dir():
        remove_path(target)
    existed = target.is_dir()
    target.mkdir(exist_ok=True)
    _copy_status(path, target)
    carry(path, target, lower)
    if not existed and same(target, lower) and not any(target.iterdir()):
        target.rmdir()


def merge(tool: Path, root: Path) -> list[str]:
    """Copy into a tree what of a tool is not there; return its paths, directories before what is in them."""
    brought: list[str] = []
    for directory, names, files in os.walk(tool):
        below = Path(directory).relative_to(tool)
        if (root / below).is_symlink() or not (root / below).is_dir():
            names.clear()  # The tree has something else in its place.
            continue
        for name in sorted([*names, *files]):
            source, target = tool / below / name, root / below / name
            if os.path.lexists(target):
                continue
            if source.is_dir() and not source.is_symlink():
                target.mkdir()
            else:
                shutil.copy2(source, target, follow_symlinks=False)
            os.chown(target, source.lstat().st_uid, source.lstat().st_gid, follow_symlinks=False)
            if not source.is_symlink():
                target.chmod(stat.S_IMODE(source.lstat().st_mode))
            brought.append(str(below / name))
    return brought


def take_out(brought: Sequence[str], root: Path, tool: Path) -> None:
    """Remove what was brought into a tree, as far as it is still as it was."""
    for name in reversed(brought):
        path = root / name
        if not same(path, tool / name):
            continue
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


def same(one: Path, other: Path) -> bool:
    """Whether two paths have the same kind, mode, owner and content; of directories, what is in them is not asked."""
    if not (os.path.lexists(one) and os.path.lexists(other)):
        return False
    mine, its = one.lstat(), other.lstat()
    if (mine.st_mode, mine.st_uid, mine.st_gid) != (its.st_mode, its.st_uid, its.st_gid):
        return False
    if stat.S_ISLNK(mine.st_mode):
        return one.readlink() == other.readlink()
    if stat.S_ISREG(mine.st_mode):
        return mine.st_size == its.st_size and hash_file(bytes(one)) == hash_file(bytes(other))
    return stat.S_ISDIR(mine.st_mode)


def _move(path: Path, target: Path) -> None:
    """Move what is no directory; a tree may be on an overlay itself, and then it is copied."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        status = path.lstat()
        if stat.S_ISFIFO(status.st_mode):
            os.mkfifo(target)
        elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            shutil.copyfile(path, target, follow_symlinks=False)
        else:
            raise Problem(
                f"{target.name} was made in the image, and is a socket or a device, which an image cannot hold",
                mend="have what makes it remove it, or make it below /run, which is not kept",
            ) from error
        # The owner first: a change of it takes set-user-id bits and capabilities away.
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
        shutil.copystat(path, target, follow_symlinks=False)


def _copy_status(source: Path, target: Path) -> None:
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
