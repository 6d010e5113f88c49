"""bluestone's own engine: it lays packages, enters them in dpkg's database, and has the tree's own dpkg configure them.

What depends on what is there already is left to dpkg: packages with a `preinst`, and those that bring the same path as
another, are unpacked by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from bluestone.image.builders.own import database, tar
from bluestone.image.builders.own.archive import Plain
from bluestone.image.builders.own.chroot import dpkg, lent, within
from bluestone.image.builders.own.extract import lay
from bluestone.image.builders.own.relations import Relations
from bluestone.image.builders.own.shelf import take
from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import Lock

ADMIN = Path("/var/lib/dpkg")
FIRST = "base-files"
"""It brings the links in the root by which other packages' paths lead below /usr."""

Contents = list[tuple[Plain, list[tar.Member]]]


class Own:
    """The engine port on nothing but the tree's own dpkg."""

    name = "bluestone"

    def version(self) -> str:
        """Its code is what it is (`route.family`)."""
        return "1"

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]) -> None:
        """Fill the empty directory `root` with the lock's packages. Raises `Problem` and `OSError`."""
        progress("extracting packages")
        plains = sorted(take(lock.packages, packages), key=lambda plain: (plain.name != FIRST, plain.name))
        contents = [(plain, list(tar.read(plain.data))) for plain in plains]
        required = {package.name for package in lock.packages if package.required}
        by_dpkg = particular(contents)

        def fill() -> None:
            ours = [(plain, members) for plain, members in contents if plain.name not in by_dpkg]
            for plain, members in contents:
                # Of the base everything: the dpkg that does the rest must be there to run.
                if plain.name in required or plain.name not in by_dpkg:
                    lay(members, b"")
            database.write(ADMIN, ours, lock.architecture)

        within(root, fill)
        progress("configuring packages")
        debs = {plain.name: plain.path for plain in plains if plain.name in by_dpkg}
        relations = Relations({plain.name: plain.fields for plain in plains})
        with lent(root, list(debs.values())) as places:
            steps = steps_of(relations, by_dpkg, required)
            dpkg(root, [[place_of(word, debs, places) for word in step] for step in steps])


def place_of(word: str, debs: dict[str, Path], places: dict[Path, str]) -> str:
    return places[debs[word.removeprefix("deb:")]] if word.startswith("deb:") else word


def particular(contents: Contents) -> set[str]:
    """The packages that dpkg has to unpack: those with a `preinst`, and those with a path that another has too."""
    owners: dict[bytes, str] = {}
    found = {plain.name for plain, _ in contents if "preinst" in plain.control}
    for plain, members in contents:
        for member in members:
            if member.kind != tar.DIRECTORY and owners.setdefault(member.path, plain.name) != plain.name:
                found |= {plain.name, owners[member.path]}
    return found


def steps_of(relations: Relations, by_dpkg: Set[str], required: Set[str]) -> list[list[str]]:
    """What dpkg is to do, in turn: unpack these, each as late as it must for what it needs before to be configured."""
    first, others = by_dpkg & required, by_dpkg - required
    steps: list[list[str]] = []
    if first:
        # The base is what its scripts need, and none of it is configured yet.
        steps.append(["--force-depends", "--unpack", *(f"deb:{name}" for name in relations.in_order(first))])
    if others:
        configured = set(required)
        steps.append(["--configure", *sorted(configured)])
        batch: list[str] = []
        for name in relations.in_order(others):
            needed = relations.closure(relations.needs(name, "Pre-Depends")) - configured - {name}
            if needed:
                late = [each for each in relations.in_order(needed & others) if each not in batch]
                steps.append(["--unpack", *(f"deb:{each}" for each in [*batch, *late])])
                steps.append(["--configure", *sorted(needed)])
                others, batch, configured = others - set(batch) - set(late), [], configured | needed
            if name in others:
                batch.append(name)
        if batch:
            steps.append(["--unpack", *(f"deb:{each}" for each in batch)])
    return [step for step in steps if len(step) > 1] + [["--configure", "-a"]]
