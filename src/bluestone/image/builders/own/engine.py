"""bluestone's own engine: it lays packages, enters them in dpkg's database, and has the tree's own dpkg configure them.

What depends on what is there already is left to dpkg: packages with a `preinst`, and those that bring the same path as
another, are unpacked by it. So are all where a tree is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bluestone import __version__
from bluestone.image.builders.own import database, tar
from bluestone.image.builders.own.archive import Plain
from bluestone.image.builders.own.chroot import dpkg, lent, within
from bluestone.image.builders.own.extract import lay
from bluestone.image.builders.own.order import UNPACKING, Steps, changing, installing, particular
from bluestone.image.builders.own.relations import Relations
from bluestone.image.builders.own.shelf import take
from bluestone.image.lockdown import LEFT_OUT
from bluestone.image.packagestore import PackageStore
from bluestone.image.remove import remove_path
from bluestone.model.lock import Lock, LockedPackage
from bluestone.model.problem import Problem

ADMIN = Path("var/lib/dpkg")

FIRST = "base-files"
"""It brings the links in the root by which other packages' paths lead below /usr."""

SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


class Own:
    """The engine port, and that of a `Changer`, on nothing but the tree's own dpkg."""

    name = "bluestone"

    def version(self) -> str:
        """That of bluestone."""
        return __version__

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]) -> None:
        """Fill the empty directory `root` with the lock's packages. Raises `Problem` and `OSError`."""
        progress("extracting packages")
        plains = sorted(take(lock.packages, packages), key=lambda plain: (plain.name != FIRST, plain.name))
        contents = [(plain, _members(plain)) for plain in plains]
        required = {package.name for package in lock.packages if package.required}
        unpacked = {plain.name for plain in plains} - particular(contents)

        def fill() -> None:
            for plain, members in contents:
                # Of the base everything: the dpkg that does the rest must be there to run.
                if plain.name in unpacked or plain.name in required:
                    lay(members, b"")
            ours = [each for each in contents if each[0].name in unpacked]
            database.write(Path("/") / ADMIN, ours)

        within(root, fill)
        progress("configuring packages")
        relations = Relations({plain.name: plain.fields for plain in plains})
        _run(root, installing(relations, unpacked, required), plains)
        leave_out(root)

    def can_change(self, before: Lock, after: Lock, root: Path) -> bool:
        """Whether `change` would leave no trace: a package that goes must have run nothing when it came."""
        gone = _by_key(before).keys() - _by_key(after).keys()
        stems = [stem for key in gone for stem in (key, key.partition(":")[0])]
        return not any((root / ADMIN / f"info/{stem}.{script}").exists() for stem in stems for script in SCRIPTS)

    def change(
        self, before: Lock, after: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]
    ) -> None:
        """Turn the tree of `before` into that of `after` (see `can_change`). Raises `Problem` and `OSError`."""
        progress("changing packages")
        old, new = _by_key(before), _by_key(after)
        gone = sorted(key for key in old if key not in new)
        fresh = take([each for key, each in new.items() if key not in old or old[key].sha256 != each.sha256], packages)
        relations = Relations({plain.name: plain.fields for plain in fresh})
        _run(root, changing(relations, gone), fresh)
        within(root, lambda: _forget_obsolete(plain.stem for plain in fresh))
        leave_out(root)


def _members(plain: Plain) -> list[tar.Member]:
    try:
        return list(tar.read(plain.data))
    except ValueError as error:
        raise Problem(f"the package {plain.name} cannot be unpacked: {error}", mend="leave it out") from error


def leave_out(root: Path) -> None:
    """Remove what no image holds. Scripts have seen it: alternatives, for one, have links for each manual page."""
    for pattern in LEFT_OUT:
        for path in root.glob(pattern):
            remove_path(path)


def _forget_obsolete(stems: Iterable[str]) -> None:
    """Remove configuration files that packages brought before and do not now. To be called within the tree."""
    admin = Path("/") / ADMIN
    text, gone = database.without_obsolete((admin / "status").read_text())
    if not gone:
        return
    (admin / "status").write_text(text)
    for path in gone:
        Path(path).unlink(missing_ok=True)
    for file in (admin / f"info/{stem}.list" for stem in stems):
        paths = file.read_text().splitlines()
        file.write_text("".join(f"{path}\n" for path in paths if path not in gone))


def _by_key(lock: Lock) -> dict[str, LockedPackage]:
    return {package.key: package for package in lock.packages}


def _run(root: Path, steps: Steps, plains: list[Plain]) -> None:
    """Have the tree's dpkg take these steps."""
    unpacking = {name for options, names in steps if UNPACKING & set(options) for name in names}
    debs = {plain.name: plain.path for plain in plains if plain.name in unpacking}
    with lent(root, list(debs.values())) as places:
        dpkg(root, [[*options, *(_named(name, options, debs, places) for name in names)] for options, names in steps])


def _named(name: str, options: list[str], debs: Mapping[str, Path], places: Mapping[Path, str]) -> str:
    return places[debs[name]] if UNPACKING & set(options) else name
