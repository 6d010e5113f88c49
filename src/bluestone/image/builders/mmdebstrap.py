"""mmdebstrap as the engine: as root, or rootless in a user namespace."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bluestone.host.commands import require, run
from bluestone.image.builders.port import NO_INITRD
from bluestone.image.child import follow
from bluestone.image.lockdown import LEFT_OUT
from bluestone.image.normalise import EPOCH
from bluestone.image.packagestore import PackageStore
from bluestone.image.repository import make_repository, source_line
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem

LIMIT = 1800.0
"""Seconds."""

PASSED = ("PATH", "HOME")
"""What mmdebstrap gets of this process's environment."""

VERSION = re.compile(rb"^our \$VERSION = '([^']+)';$", re.MULTILINE)
"""Where the program, which is a script, has its version."""

DISK_FULL = ("No space left on device", "quota exceeded", "You don't have enough free space in")
"""What programs say of a disk that is full."""

STEPS = {
    "I: extracting archives": "extracting packages",
    "I: installing essential packages": "installing essential packages",
    "I: installing remaining packages": "installing the other packages",
    "I: creating tarball": "keeping the base",
}
"""How mmdebstrap says where it is, and how that is told to people."""


class Mmdebstrap:
    """The engine port on mmdebstrap."""

    name = "mmdebstrap"

    def version(self) -> str:
        """As `mmdebstrap --version` says it. Raises `MissingTool`."""
        program = Path(require("mmdebstrap"))
        # Asking it takes longer than half of what a build costs of which one file has changed.
        said = VERSION.search(program.read_bytes())
        return f"mmdebstrap {said[1].decode()}" if said else run([str(program), "--version"], timeout=30).strip()

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]) -> None:
        """Fill the empty directory `root` with the lock's packages. Raises `Problem`."""
        require("mmdebstrap")
        repository, tar = root.with_name("repository"), root.with_name("packages.tar")
        make_repository(repository, lock, lock.packages, packages)

        full: list[str] = []

        def hear(line: str) -> None:
            if any(words in line for words in DISK_FULL):
                full.append(line)  # dpkg says so much afterwards that it would not be among the last lines.
            for said, told in STEPS.items():
                if line.startswith(said):
                    progress(told)

        ending = follow(
            command(lock, tar),
            hear,
            timeout=LIMIT,
            # By `copy`: dpkg, whose root is the tree, has no way to files outside of it.
            stdin=source_line(repository, "copy").encode(),
            environment=environment(root.parent, os.environ),
        )
        if ending.status is None:
            raise Problem(
                f"mmdebstrap did not end within {LIMIT:g} s{ending.quoted()}",
                mend="try again when this machine has less to do",
            )
        if ending.status:
            raise explain([*full[:1], *ending.tail])
        unpacked = follow(unpack(tar, root), timeout=LIMIT)
        if unpacked.status != 0:
            raise explain(unpacked.tail)
        tar.unlink()
        shutil.rmtree(repository)


def command(lock: Lock, target: Path) -> list[str]:
    """The argument list that writes a tar of the lock's packages; the source comes by standard input."""
    names = [package.name for package in lock.packages]
    return [
        "mmdebstrap",
        # For root (of a namespace or not) this mode adds namespaces for mounts and processes to mode "root".
        "--mode=unshare",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={lock.architecture}",
        f"--include={','.join(names)}",
        # It takes the essential packages from the suite of this name.
        lock.base.partition(":")[2],
        str(target),
        "-",
    ]


def unpack(tar: Path, root: Path) -> list[str]:
    """The argument list that unpacks the tar, but for what no image holds."""
    exclude = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    capabilities = ["--xattrs", "--xattrs-include=security.capability"]
    return ["tar", "-x", "-f", str(tar), "-C", str(root), "--numeric-owner", *capabilities, *exclude]


def environment(scratch: Path, ours: dict[str, str] | os._Environ[str]) -> dict[str, str]:
    """What mmdebstrap knows of the world. `scratch` is where it makes the tree."""
    known = {name: ours[name] for name in PASSED if name in ours}
    # On Debian, sbin is not on the path of those who are not root, but dpkg needs what is there.
    path = known.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    # With a date given, compiled Python is checked by content: the times of its sources may then be settled.
    dated = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    return known | dated | NO_INITRD | {"PATH": path, "LC_ALL": "C.UTF-8", "TMPDIR": str(scratch)}


def explain(said: Sequence[str]) -> Problem:
    """What mmdebstrap's failure means to the person who declared the image."""
    text = "\n".join(said)
    if any(words in text for words in DISK_FULL):
        return Problem(
            "the disk is full: the base could not be made",
            mend="free some space, or set BLUESTONE_HOME to a directory on a larger disk",
        )
    if "Unable to locate package" in text or "unmet dependencies" in text:
        return Problem(
            f"the lock's packages cannot be installed by themselves{_tail(said)}",
            mend="lock them anew: remove bluestone.lock and run `bluestone lock`",
        )
    return Problem(f"the base could not be made{_tail(said)}", mend="mend what it says and try again")


def _tail(said: Sequence[str], lines: int = 12) -> str:
    """The last lines that complain, or the last ones at all."""
    complaints = [line for line in said if line.startswith(("E:", "W:", "Err:", "dpkg:"))]
    kept = (complaints or [line for line in said if line.strip() and not line.startswith("I: ")])[-lines:]
    return "".join(f"\n     {line}" for line in kept)
