"""Base + recipe -> tree: the second half of a build, as a process of its own that owns the tree.

`python -m bluestone.image.assemble` reads an `Order` (JSON) from its standard input and makes `root`, `manifest` and
the bills of what is in it (see `sbom.bills`) in the directory that it names. It runs as root or as the root of a user
namespace, within `sandbox.enclosed`. On its standard output it says, a line of JSON each, how far it is (`Said`) and
what went wrong (`Trouble`).
"""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bluestone.image import lockdown
from bluestone.image.child import follow
from bluestone.image.normalise import EPOCH, backdate, normalise
from bluestone.image.overlay import lay, make_directory, within
from bluestone.image.sandbox import inside
from bluestone.image.sbom.bills import scan
from bluestone.image.tree import manifest
from bluestone.model.problem import Problem
from bluestone.model.recipe import OverlayFile, Recipe

QUICK = 120.0
"""Seconds that a command of bluestone's own may take."""

UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "usr/local/lib/systemd/system")

DISK_FULL = "free some space, or set BLUESTONE_HOME to a directory on a larger disk"


@dataclass(frozen=True)
class Order:
    """What to assemble: `base` is a tar, `work` the directory to work in, `limit` the seconds for each command."""

    base: Path
    work: Path
    recipe: Recipe
    limit: float


class Said(msgspec.Struct, tag=True):
    """How far the assembly is."""

    text: str


class Trouble(msgspec.Struct, tag=True):
    """A `Problem`, on its way to the process that gave the order."""

    what: str
    mend: str


def assemble(order: Order) -> None:
    """Make the tree and its manifest. Raises `Problem` and `OSError`."""
    recipe, root = order.recipe, order.work / "root"
    _unpack(order.base, root)
    backdate(root)
    for file in (*lockdown.FILES, *recipe.files, _writable_list(recipe)):
        lay(file, root)
    for directory in recipe.writable:
        make_directory(root, directory)
    _enable(root, recipe.units)
    for command in recipe.run:
        _say(f"running: {shown(command)}")
        _run(root, command, order.limit)
    _refuse_logins(root)
    _lock(root)
    normalise(root)
    # The disk can be written to while the processor hashes.
    flush = subprocess.Popen(["sync", "--file-system", str(root)])
    text = manifest(root)
    (order.work / "manifest").write_text(text)
    scan(order.work, text)
    if flush.wait():
        raise OSError(errno.EIO, "the tree cannot be written to the disk")


def shown(command: str) -> str:
    """A command as one short line."""
    lines = command.strip().splitlines()
    line = lines[0] if lines else ""
    return line if len(lines) <= 1 and len(line) <= 80 else f"{line[:77]}..."


def _unpack(base: Path, root: Path) -> None:
    root.mkdir(mode=0o755)
    exclude = [f"--exclude={pattern}" for pattern in lockdown.LEFT_OUT]
    capabilities = ["--xattrs", "--xattrs-include=security.capability"]
    command = ["tar", "-x", "-f", str(base), "-C", str(root), "--numeric-owner", *capabilities, *exclude]
    ending = follow(command, timeout=QUICK * 5)
    if ending.status:
        full = any("No space left" in line or "quota exceeded" in line for line in ending.tail)
        raise Problem(
            "the disk is full: the base could not be unpacked"
            if full
            else f"the base could not be unpacked:{ending.quoted()}",
            mend=DISK_FULL if full else "look at the disk: dmesg",
        )


def _writable_list(recipe: Recipe) -> OverlayFile:
    return OverlayFile(lockdown.WRITABLE_LIST, content="".join(f"{path}\n" for path in sorted(recipe.writable)))


def _enable(root: Path, units: tuple[str, ...]) -> None:
    """Enable units by the image's own systemctl, as its version may know more than this machine's."""
    if not units:
        return
    for unit in units:
        _require_unit(root, unit)
    ending = follow(inside(root, ["systemctl", "enable", "--quiet", *units]), timeout=QUICK)
    if ending.status != 0:
        raise Problem(f"the units cannot be enabled: {', '.join(units)}{ending.quoted()}", mend="correct image.units")


def _require_unit(root: Path, unit: str) -> None:
    name, at, rest = unit.partition("@")
    file = f"{name}@.{rest.rpartition('.')[2]}" if at else unit
    scripts = [root / "etc/init.d" / unit.removesuffix(".service")]
    places = [root / directory / file for directory in UNIT_DIRECTORIES]
    if not any(place.is_file() or place.is_symlink() for place in [*places, *scripts]):
        raise Problem(
            f"the unit {unit} is not in the image",
            mend="correct image.units, or add the package or file that brings the unit",
        )


def _run(root: Path, command: str, limit: float) -> None:
    variables = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    ending = follow(inside(root, ["sh", "-eu", "-c", command], variables), timeout=limit)
    if ending.status is None:
        raise Problem(
            f"`{shown(command)}` of image.run did not end within {limit:g} s{ending.quoted()}",
            mend="have it end by itself; nothing of it goes on in the image",
        )
    if ending.status:
        raise Problem(
            f"`{shown(command)}` of image.run failed with status {ending.status}{ending.quoted()}",
            mend="correct the command; it runs in the image as root, without a network",
        )


def _refuse_logins(root: Path) -> None:
    for program in lockdown.LOGIN_PROGRAMS:
        if within(root, program, last=True).exists():
            raise Problem(
                f"the image holds {program}, which lets people log in, and nobody logs in to an immutable server",
                mend="take out of image.packages what brings it",
            )


def _lock(root: Path) -> None:
    """Close every way in, and everything that would change the server."""
    for link, target in lockdown.LINKS.items():
        _link(root, link, target)
    shadow = root / "etc" / "shadow"
    shadow.write_text(lock_passwords(shadow.read_text()))


def lock_passwords(shadow: str) -> str:
    """A text like /etc/shadow (shadow(5)) in which no account has a password."""
    rows = [line.split(":") for line in shadow.splitlines() if line]
    return "".join(":".join([row[0], "!*", *row[2:]]) + "\n" for row in rows)


def _link(root: Path, place: str, target: str) -> None:
    directory = make_directory(root, place.rpartition("/")[0])
    link = directory / place.rpartition("/")[2]
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def explain(error: OSError) -> Problem:
    """What a refusal of the kernel's means to the person who builds."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("the disk is full: the image could not be made", mend=DISK_FULL)
    where = f" ({error.filename})" if error.filename else ""
    return Problem(f"the image could not be made: {error.strerror}{where}", mend="mend what it says and try again")


def _say(text: str) -> None:
    _tell(Said(text))


def _tell(message: Said | Trouble) -> None:
    print(msgspec.json.encode(message).decode(), flush=True)


def main() -> int:
    """Carry out the order on the standard input."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order, dec_hook=lambda kind, text: kind(text))
    try:
        assemble(order)
    except (Problem, OSError) as error:
        problem = explain(error) if isinstance(error, OSError) else error
        _tell(Trouble(problem.what, problem.mend))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
