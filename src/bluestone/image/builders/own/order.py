"""What dpkg is to do with packages, in turn. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from bluestone.image.builders.own import tar
from bluestone.image.builders.own.archive import Plain
from bluestone.image.builders.own.relations import Relations

Steps = list[tuple[list[str], list[str]]]
"""Options of dpkg, with the names of packages that it is given: their files where it unpacks, as they are elsewhere."""

UNPACKING = {"--unpack", "--install"}

CONFIGURE_ALL: Steps = [(["--configure", "-a"], [])]


def particular(contents: Iterable[tuple[Plain, Sequence[tar.Member]]]) -> set[str]:
    """The packages that dpkg has to unpack: those with a `preinst`, and those with a path that another has too."""
    owners: dict[bytes, str] = {}
    found: set[str] = set()
    for plain, members in contents:
        if "preinst" in plain.control:
            found.add(plain.name)
        for member in members:
            if member.kind != tar.DIRECTORY and owners.setdefault(member.path, plain.name) != plain.name:
                found |= {plain.name, owners[member.path]}
    return found


def installing(relations: Relations, unpacked: Set[str], required: Set[str]) -> Steps:
    """Install all packages, of which those not in `unpacked` are still to be unpacked.

    The base (`required`) is configured before anything else is unpacked, as scripts may use it without saying so.
    """
    base, others = required - unpacked, relations.packages.keys() - unpacked - required
    steps: Steps = []
    if base:
        # Nothing is configured yet that these say they need.
        steps.append((["--force-depends", "--unpack"], relations.in_order(base)))
    if others:
        if required:
            steps.append((["--configure"], sorted(required)))
        steps += unpacking(relations, others, required)
    return steps + CONFIGURE_ALL


def changing(relations: Relations, gone: Sequence[str]) -> Steps:
    """Remove what is gone, by name, and install all packages where everything else that they need is configured."""
    steps: Steps = [(["--force-depends", "--purge", *gone], [])] if gone else []
    batches = unpacking(relations, relations.packages.keys(), set())
    if len(batches) == 1:
        # Both at once: dpkg reads its database once less.
        return [*steps, (["--install"], batches[0][1])]
    return steps + batches + CONFIGURE_ALL


def unpacking(relations: Relations, names: Set[str], configured: Set[str]) -> Steps:
    """Unpack these packages, each when what it needs before (Pre-Depends) is configured."""
    steps: Steps = []
    batch: list[str] = []
    left, ready = set(names), set(configured)
    for name in relations.in_order(names):
        needed = relations.closure(relations.needs(name, "Pre-Depends")) - ready - {name}
        if needed:
            batch += [each for each in relations.in_order(needed & left) if each not in batch]
            if batch:
                steps.append((["--unpack"], batch))
            steps.append((["--configure"], sorted(needed)))
            left, ready, batch = left - set(batch), ready | needed, []
        if name in left and name not in batch:
            batch.append(name)
    return [*steps, (["--unpack"], batch)] if batch else steps
