"""Work within a tree: our own, in a process whose root it is, and that of its own dpkg."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bluestone.image.builders.port import NO_INITRD
from bluestone.image.child import follow
from bluestone.image.normalise import EPOCH
from bluestone.image.sandbox import inside
from bluestone.model.problem import Problem

LIMIT = 1800.0
"""Seconds that dpkg may take."""

DEBS = "var/tmp/bluestone"
"""Where dpkg finds packages, in the tree."""

POLICY = "usr/sbin/policy-rc.d"
"""What services ask before they start (Debian's invoke-rc.d): 101 is `no`."""

FSTAB = "etc/fstab"

ENVIRONMENT = {"DEBCONF_NONINTERACTIVE_SEEN": "true", "SOURCE_DATE_EPOCH": str(EPOCH), **NO_INITRD}

DPKG = ("dpkg", "--force-unsafe-io")
"""What it writes is flushed once, when the tree is done."""


class Trouble(msgspec.Struct):
    """What went wrong in the process that was within."""

    errno: int
    text: str


def within(root: Path, work: Callable[[], object]) -> None:
    """Carry out some work in a process whose root is the tree: no link that is in it leads out of it.

    Raises `OSError`, also for a `ValueError` of the work.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chroot(root)
            os.chdir("/")
            os.umask(0o022)
            work()
            status = 0
        except (OSError, ValueError) as error:
            number = error.errno or 0 if isinstance(error, OSError) else 0
            os.write(writing, msgspec.json.encode(Trouble(number, str(error)))[:4096])
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if said:
        trouble = msgspec.json.decode(said, type=Trouble)
        if trouble.errno:
            raise OSError(trouble.errno, os.strerror(trouble.errno))
        raise Problem(f"a package cannot be unpacked: {trouble.text}", mend="leave it out of the recipe")
    if status:
        raise Problem(f"unpacking ended with status {status}", mend="try again")


def dpkg(root: Path, commands: Sequence[Sequence[str]]) -> None:
    """Run the tree's dpkg with each of these arguments in turn; services do not start. Raises `Problem`."""
    script = "set -e\ncd /\n" + "\n".join(shlex.join([*DPKG, *each]) for each in commands)
    with _as_debian_begins(root):
        ending = follow(inside(root, ["sh", "-c", script], ENVIRONMENT), timeout=LIMIT)
    if ending.status is None:
        raise Problem(
            f"the packages were not configured within {LIMIT:g} s{ending.quoted()}",
            mend="try again when this machine has less to do",
        )
    if ending.status:
        raise explain(ending.tail)


@contextmanager
def lent(root: Path, debs: Sequence[Path]) -> Iterator[dict[Path, str]]:
    """Copies of packages in the tree, for as long as this lasts; where each is, as the tree has it."""
    place = root / DEBS
    place.mkdir(mode=0o700)
    try:
        for deb in debs:
            shutil.copyfile(deb, place / deb.name)
        yield {deb: f"/{DEBS}/{deb.name}" for deb in debs}
    finally:
        shutil.rmtree(place)


@contextmanager
def _as_debian_begins(root: Path) -> Iterator[None]:
    """What scripts find in a tree that Debian's own tools make; and nothing that they ask for starts."""
    fstab, policy = root / FSTAB, root / POLICY
    if not fstab.is_symlink() and not fstab.exists():
        fstab.write_text("# UNCONFIGURED FSTAB FOR BASE SYSTEM\n")
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def explain(said: Sequence[str]) -> Problem:
    """What dpkg's failure means to the person who declared the image."""
    text = "\n".join(said)
    if "No space left on device" in text or "quota exceeded" in text:
        return Problem(
            "the disk is full: the packages could not be installed",
            mend="free some space, or set BLUESTONE_HOME to a directory on a larger disk",
        )
    shown = "".join(f"\n     {line}" for line in said[-12:])
    if "dependency problems" in text:
        return Problem(
            f"the lock's packages cannot be installed by themselves{shown}",
            mend="lock them anew: remove bluestone.lock and run `bluestone lock`",
        )
    return Problem(f"the packages could not be installed{shown}", mend="mend what it says and try again")
