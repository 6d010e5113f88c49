"""Packages + recipe -> tree: the second half of a build, as a process of its own that owns the tree.

`python -m bluestone.image.assemble` carries out an `Assembly`: it makes `root`, `manifest` and the bills of what is in
it (see `sbom.bills`) in the directory that it names.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from bluestone.image import lockdown, worker
from bluestone.image.assembly import Assembly
from bluestone.image.child import follow
from bluestone.image.derive import Derived, derive
from bluestone.image.flush import flushing
from bluestone.image.hygiene.check import check
from bluestone.image.hygiene.finding import judge, refusal
from bluestone.image.normalise import settle, tidy
from bluestone.image.overlay import lay, make_directory, within
from bluestone.image.provision.hooks import hooks
from bluestone.image.provision.shell import run_all
from bluestone.image.sandbox import inside
from bluestone.image.sbom.scan import scan
from bluestone.model.problem import Problem
from bluestone.model.recipe import OverlayFile, Recipe

QUICK = 120.0
"""Seconds that a command of bluestone's own may take."""

UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "usr/local/lib/systemd/system")


def assemble(order: Assembly) -> Derived:
    """Make the tree, its manifest and its bills. Raises `Problem` and `OSError`."""

    def shape(root: Path) -> None:
        _shape(root, order)

    made = derive(order.stage, order.work, shape, settle)
    _refuse_findings(order.work / "root", made.manifest, frozenset(made.changed), order.recipe)
    with flushing(order.work / "root"):
        (order.work / "manifest").write_text(made.manifest)
        scan(order.work, made.manifest, order.stage)
    return made


def _shape(root: Path, order: Assembly) -> None:
    """Make the tree of a recipe's packages the recipe's."""
    recipe = order.recipe
    for file in (*lockdown.FILES, *recipe.files, _writable_list(recipe)):
        lay(file, root)
    for directory in recipe.writable:
        make_directory(root, directory)
    if wanted := hooks(recipe):
        from bluestone.image.provision.apply import provision

        provision(wanted, root, order.work, order.tools, order.limit, worker.say, twice=order.twice)
    _enable(root, recipe.units)
    run_all(recipe.run, root, order.limit, worker.say)
    _refuse_logins(root)
    _lock(root)
    tidy(root)


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


def _refuse_logins(root: Path) -> None:
    for program in lockdown.LOGIN_PROGRAMS:
        if within(root, program, last=True).exists():
            raise Problem(
                f"the image holds {program}, which lets people log in, and nobody logs in to an immutable server",
                mend="take out of image.packages what brings it",
            )


def _refuse_findings(root: Path, manifest: str, changed: Collection[bytes], recipe: Recipe) -> None:
    """Refuse what must not be in an image, unless the recipe waives it."""
    judgement = judge(check(root, manifest, changed), recipe.waivers)
    for waiver in judgement.unused:
        worker.say(f"the waiver of {waiver.finding} at {waiver.path} waives nothing: take it out")
    if judgement.refused:
        raise refusal(judgement.refused)


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


def _carry_out(order: Assembly) -> str:
    assemble(order)
    return "manifest"


if __name__ == "__main__":
    sys.exit(worker.serve(Assembly, _carry_out))
