"""One form for what packages leave in one order or another, depending on the way that a tree came about.

What an engine may order differently is ordered here, by content. Nothing that a server reads means something else
afterwards. A file is written only if that changes it: the tree may be an overlay over one that is in this form.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Set
from functools import partial
from pathlib import Path

from bluestone.image import accounts, keystore, lockdown
from bluestone.image.remove import remove_path
from bluestone.image.tree import CAPABILITY
from bluestone.model.problem import Problem

DPKG = "var/lib/dpkg"

REMOVED = (
    # Says nothing that the status does not.
    "var/lib/dpkg/available",
    # By chance, where /etc/machine-id is not there yet; a recipe's image has a link to that.
    "var/lib/dbus/machine-id",
)

PRIVATE = ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial")
"""apt's directories, whose owner is whoever ran it last. On a server nobody does."""

JAVA = "etc/ssl/certs/java/cacerts"
SNAKEOIL = "ssl-cert-snakeoil.pem"
"""A certificate that no image holds (`lockdown.REMOVED`)."""

DATABASES = "var/lib/postgresql/*/*"
"""Clusters that were made, by chance, with the package; a server makes its own (`lockdown.FIRST_CLUSTER`)."""

LEFT_OUT = tuple(pattern.removeprefix(".").removesuffix("*").encode() for pattern in lockdown.LEFT_OUT)

UNITS = "etc/systemd/system"

SYSUSERS = ("usr/lib/sysusers.d/*.conf", "etc/sysusers.d/*.conf")


def canonicalise(root: Path, time: int) -> None:
    """Bring a tree of packages into the one form, in which things are of a `time` (seconds since 1970).

    Raises `Problem` for accounts that are none, and `OSError`.
    """
    _accounts(root)
    _rewrite(root / DPKG / "status", stanzas)
    _rewrite(root / DPKG / "diversions", triples)
    for path in sorted((root / DPKG / "info").glob("*.list")):
        _rewrite(path, listing)
        kept = frozenset(path.read_bytes().splitlines())
        _rewrite(path.with_suffix(".md5sums"), partial(sums, kept))
    for pattern in ("triggers/*", "statoverride"):
        for path in sorted((root / DPKG).glob(pattern)):
            _rewrite(path, lines)
    for name in REMOVED:
        (root / name).unlink(missing_ok=True)
    _drop_own_architecture(root / DPKG)
    for name in PRIVATE:
        _make_private(root / name)
    _rewrite(root / JAVA, lambda store: keystore.canonical(store, time))
    _unit_links(root)
    _without_data(root)


def stanzas(text: bytes) -> bytes:
    """Paragraphs (deb-control(5)) in order."""
    return b"".join(sorted(each.strip(b"\n") + b"\n\n" for each in text.split(b"\n\n") if each.strip()))


def triples(text: bytes) -> bytes:
    """dpkg's diversions, each of three lines, in order."""
    rows = text.splitlines(keepends=True)
    return b"".join(sorted(b"".join(rows[place : place + 3]) for place in range(0, len(rows), 3)))


def lines(text: bytes) -> bytes:
    """Lines in order, each once."""
    return b"".join(sorted(set(text.splitlines(keepends=True))))


def listing(text: bytes) -> bytes:
    """The paths of a package in order, without those that no image holds.

    What is not there, dpkg takes from one package's list when it unpacks another that has it too.
    """
    return b"".join(sorted(line for line in text.splitlines(keepends=True) if not line.startswith(LEFT_OUT)))


def sums(kept: Set[bytes], text: bytes) -> bytes:
    """The digests of those files that are a package's own (`listing`)."""
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if b"/" + line.rstrip(b"\n").partition(b"  ")[2] in kept)


def _accounts(root: Path) -> None:
    files = {name: (root / name).read_text() for name in accounts.FILES if (root / name).is_file()}
    sysusers = [path.read_text() for pattern in SYSUSERS for path in root.glob(pattern) if path.is_file()]
    try:
        new = accounts.renumber(files, accounts.fixed_names(sysusers))
    except ValueError as error:
        raise Problem(str(error), mend="leave out the package that writes it") from error
    for name, text in new.files.items():
        if text != files[name]:
            (root / name).write_text(text)
    if new.users or new.groups:
        for path in _paths(os.fsencode(root)):
            _give(path, new)


def _without_data(root: Path) -> None:
    """Remove what is another each time or is left out of every image, and the links that lead to such."""
    for path in root.glob(DATABASES):
        remove_path(path)
    for path in root.glob("etc/alternatives/*"):
        # dpkg drops some of these when it meets them again.
        if path.is_symlink() and os.fsencode(path.readlink()).startswith(LEFT_OUT):
            path.unlink()
    for path in root.glob("etc/ssl/certs/*.0"):
        if path.is_symlink() and path.readlink().name == SNAKEOIL:
            path.unlink()


def _drop_own_architecture(admin: Path) -> None:
    """Remove the list of architectures where it names but one, which is the tree's own: dpkg knows that."""
    listed = admin / "arch"
    if listed.is_file() and len(listed.read_text().split()) == 1:
        listed.unlink()


def _make_private(directory: Path) -> None:
    if directory.is_symlink() or not directory.is_dir():
        return
    status = directory.stat()
    if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != (0, 0, 0o700):
        os.chown(directory, 0, 0)
        directory.chmod(0o700)


def _unit_links(root: Path) -> None:
    """Have links to units lead below /usr: some are made before /lib is known to be a link to there, some after."""
    if not (root / "lib").is_symlink():
        return
    for path in _paths(os.fsencode(root / UNITS)) if (root / UNITS).is_dir() else ():
        if os.path.islink(path) and (target := os.readlink(path)).startswith(b"/lib/systemd/"):
            os.unlink(path)
            os.symlink(b"/usr" + target, path)


def _give(path: bytes, new: accounts.Renumbering) -> None:
    """Give a path to those who have its owner's new numbers."""
    status = os.lstat(path)
    uid, gid = new.users.get(status.st_uid, status.st_uid), new.groups.get(status.st_gid, status.st_gid)
    if (uid, gid) == (status.st_uid, status.st_gid):
        return
    regular = stat.S_ISREG(status.st_mode)
    capability = os.getxattr(path, CAPABILITY) if regular and CAPABILITY in os.listxattr(path) else None
    os.lchown(path, uid, gid)
    # A new owner takes these away.
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        os.chmod(path, stat.S_IMODE(status.st_mode))
    if capability is not None:
        os.setxattr(path, CAPABILITY, capability)


def _paths(root: bytes) -> Iterator[bytes]:
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for each in entries:
                yield each.path
                if each.is_dir(follow_symlinks=False):
                    waiting.append(each.path)


def _rewrite(path: Path, form: Callable[[bytes], bytes]) -> None:
    if path.is_symlink() or not path.is_file():
        return
    before = path.read_bytes()
    after = form(before)
    if after != before:
        path.write_bytes(after)
