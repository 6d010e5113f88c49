"""What changes from one lock to another, as data and as text. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from bluestone.model.lock import Lock, LockedPackage

Kind = Literal["added", "removed", "upgraded", "downgraded", "replaced"]

SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "upgraded": "^", "downgraded": "v", "replaced": "~"}


class PackageChange(Struct, frozen=True):
    """One package that is not as it was; `replaced` is another file of the same version.

    `tool` is the tool that it belongs to, "" for the image itself. `old` and `new` are versions.
    """

    kind: Kind
    name: str
    old: str
    new: str
    source: str
    archive: str
    suite: str
    tool: str = ""


class ReleaseChange(Struct, frozen=True):
    """A suite whose Release file is another one. `old` is None for one that was not used before, `new` afterwards."""

    archive: str
    suite: str
    old: datetime | None
    new: datetime | None


class LockDiff(Struct, frozen=True):
    """What changes. `inputs` are the keys of the declaration whose files changed."""

    packages: tuple[PackageChange, ...] = ()
    releases: tuple[ReleaseChange, ...] = ()
    inputs: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    base: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.packages or self.releases or self.inputs or self.asked or self.base)


Newer = Callable[[str, str], bool]
"""Whether the first of two versions is the newer one, in Debian's order."""


def diff(old: Lock, new: Lock, newer: Newer) -> LockDiff:
    """What changes from `old` to `new`."""
    tools = sorted({*old.tools, *new.tools})
    of_tools = [_packages(old.tools.get(tool, ()), new.tools.get(tool, ()), newer, tool) for tool in tools]
    ours, theirs = _base(old), _base(new)
    return LockDiff(
        packages=tuple(change for part in (_packages(old.packages, new.packages, newer), *of_tools) for change in part),
        releases=tuple(_releases(old, new)),
        inputs=tuple(key for key in sorted({*old.inputs, *new.inputs}) if old.inputs.get(key) != new.inputs.get(key)),
        asked=tuple(sorted({*old.asked} ^ {*new.asked})),
        base=None if ours == theirs else (ours, theirs),
    )


def text(changes: LockDiff) -> str:
    """The change for a person: a line for each package, then the releases and files that moved."""
    lines = []
    if changes.base:
        lines.append(f"base       {changes.base[0]} -> {changes.base[1]}")
    if changes.packages:
        width = max(len(change.name) for change in changes.packages)
        lines += [_line(change, width) for change in changes.packages]
    lines += [
        f"  release    {change.archive} {change.suite}: {_day(change.old)} -> {_day(change.new)}"
        for change in changes.releases
    ]
    lines += [f"  input      {key}" for key in changes.inputs]
    return "\n".join([*lines, summary(changes)])


def summary(changes: LockDiff) -> str:
    """`1 added, 3 upgraded`."""
    counts = [
        (sum(change.kind == kind for change in changes.packages), kind)
        for kind in ("added", "removed", "upgraded", "downgraded", "replaced")
    ]
    parts = [f"{count} {kind}" for count, kind in counts if count]
    parts += [f"{len(changes.inputs)} {'inputs' if len(changes.inputs) > 1 else 'input'} changed"] * bool(
        changes.inputs
    )
    return ", ".join(parts) or "no package changes"


def _line(change: PackageChange, width: int) -> str:
    versions = " -> ".join(version for version in (change.old, change.new) if version)
    where = change.archive if change.archive == change.suite else f"{change.archive}, {change.suite}"
    of = f"source {change.source}; " if change.source != change.name else ""
    tool = f" [tool {change.tool}]" if change.tool else ""
    return f"{SIGNS[change.kind]} {change.kind:<10} {change.name:<{width}}  {versions}  ({of}{where}){tool}"


def _packages(
    old: Iterable[LockedPackage], new: Iterable[LockedPackage], newer: Newer, tool: str = ""
) -> Iterator[PackageChange]:
    before = {package.key: package for package in old}
    after = {package.key: package for package in new}
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        kind = _kind(was, now, newer)
        seen = now or was
        if kind and seen:
            versions = (was.version if was else "", now.version if now else "")
            yield PackageChange(kind, seen.name, *versions, seen.source, seen.archive, seen.suite, tool)


def _kind(was: LockedPackage | None, now: LockedPackage | None, newer: Newer) -> Kind | None:
    if was is None or now is None:
        return "added" if was is None else "removed"
    if was.version != now.version:
        return "upgraded" if newer(now.version, was.version) else "downgraded"
    return "replaced" if was.sha256 != now.sha256 else None


def _releases(old: Lock, new: Lock) -> Iterator[ReleaseChange]:
    before = {(release.archive, release.suite): release for release in old.releases}
    after = {(release.archive, release.suite): release for release in new.releases}
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if (was and was.sha256) != (now and now.sha256):
            yield ReleaseChange(*key, was.date if was else None, now.date if now else None)


def _base(lock: Lock) -> str:
    return f"{lock.base} {lock.architecture}"


def _day(date: datetime | None) -> str:
    return f"{date:%Y-%m-%d %H:%M}" if date else "none"
