"""What differs between two images beyond what their locks say: what a patch must not bring along. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from bluestone.image.diff import ImageDiff

MADE = re.compile(
    r"/etc/(ld\.so\.cache|ssl/certs/.*|ca-certificates\.conf|alternatives/.*|\.java/.*)"
    r"|/boot/.*|/var/(cache|lib/(dpkg|ucf|systemd|pam|apt|python|initramfs-tools|shells\.state))(/.*)?"
    r"|/usr/(lib|share)/.*(\.pyc|/__pycache__|\.cache|hwdb\.bin|/catalog/database|/locale-archive|/modules\.[a-z.]+)"
    r"|/usr/share/(mime|info|icons|glib-2\.0|fonts|man)/.*"
)
"""Files that maintainers' scripts and triggers make, so that no package owns them."""

MOST = 50
"""How many are told."""


def surprises(changes: ImageDiff, moved: Collection[str], raised: Collection[str] = ()) -> tuple[str, ...]:
    """What is not as it was, and neither of a package that the lock moved nor made by one; a sentence each.

    `moved` are the names of binary packages that the locks have differently, `raised` paths of files on the server
    whose pinned versions were raised.
    """
    found = list(_surprises(changes, set(moved), set(raised)))
    return tuple(found[:MOST] + [f"and {len(found) - MOST} more"] * (len(found) > MOST))


def _surprises(changes: ImageDiff, moved: set[str], raised: set[str]) -> Iterator[str]:
    for each in changes.packages:
        owner = each.source.removeprefix("package ") if each.source.startswith("package ") else ""
        by_lock = each.name in moved if each.ecosystem == "deb" else owner in moved or each.source in raised
        if not by_lock:
            versions = " -> ".join(filter(None, (each.old, each.new)))
            yield f"{each.ecosystem} {each.name} was {each.kind} ({versions}), which the lock does not say"
    for file in changes.files:
        if file.package:
            if file.package not in moved:
                yield f"{file.path} was {file.kind}, of {file.package}, which the lock keeps as it is"
        elif not (file.follows or file.path in raised or MADE.fullmatch(file.path)):
            yield f"{file.path} was {file.kind}, and is of no package"
    for unit in changes.units:
        yield f"the unit {unit.unit} was {unit.kind}{f' by {unit.target}' if unit.target else ''}"
