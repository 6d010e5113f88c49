"""What differs from one image to another, as data and as text. Pure: it works on manifests and bills."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from bluestone.image.hygiene.secrets import secrets
from bluestone.image.tree import Entry, digest
from bluestone.model.bom import Bom, Component, Ecosystem
from bluestone.model.ids import Digest, short
from bluestone.model.path import shown

Kind = Literal["added", "removed", "upgraded", "downgraded", "changed"]

SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "upgraded": "^", "downgraded": "v", "changed": "~"}

LARGEST_TEXT = 64 * 1024
"""Bytes of a file whose lines are compared."""

MOST_LINES = 400
"""Lines of difference that are told of one file."""

OTHERS_READ = 0o004

_SECRET_NAME = re.compile(
    r"(?i).*(secret|passw|credential|token|private|auth|shadow|htdigest|krb5\.keytab)[^/]*"
    r"|.*\.(key|pem|p12|pfx|jks|keystore|kdbx)(-.*)?|.*/\.[^/]*rc|.*/\.env|.*\.env"
)
_UNIT_LINK = re.compile(r"/etc/systemd/(?:system|user)/(?:([^/]+)\.(?:wants|requires|upholds)/)?([^/]+)")
_DPKG = "/var/lib/dpkg/"


class Side(Struct, frozen=True):
    """One of the two images: its manifest, its bill, and the package of each path that one owns."""

    manifest: str
    bom: Bom
    owners: Mapping[str, str]


class ComponentChange(Struct, frozen=True):
    """A piece of software that is not as it was. `old` and `new` are versions, several with commas between.

    `source` is a Debian package's source package; of others, what brought them, or the file that tells of them.
    """

    kind: Kind
    ecosystem: Ecosystem
    name: str
    old: str
    new: str
    source: str


class FileChange(Struct, frozen=True):
    """A path that is not as it was; `what` says in which way (`mode 0644 -> 0755`), `package` whose it is.

    `follows` is whether it is of a package that is not as it was itself, or of dpkg's records.
    """

    kind: Kind
    path: str
    what: tuple[str, ...]
    package: str
    follows: bool


class UnitChange(Struct, frozen=True):
    """A unit of systemd's that was or is enabled (by a target), or masked (then `target` is empty)."""

    kind: Literal["enabled", "disabled", "masked", "unmasked"]
    unit: str
    target: str


class TextChange(Struct, frozen=True):
    """A file of configuration whose lines differ: as a unified diff, or `withheld` with the reason."""

    path: str
    lines: tuple[str, ...]
    withheld: str = ""


class ImageDiff(Struct, frozen=True):
    """What differs. Of `files`, those below /etc are the configuration, whose lines are in `texts`."""

    old: Digest
    new: Digest
    packages: tuple[ComponentChange, ...]
    files: tuple[FileChange, ...]
    units: tuple[UnitChange, ...]
    texts: tuple[TextChange, ...]

    def __bool__(self) -> bool:
        """Whether the images are two."""
        return self.old != self.new


Newer = Callable[[str, str], bool]
"""Whether the first of two versions is the newer one, in Debian's order."""

Read = Callable[[Literal["old", "new"], Entry], bytes | None]
"""The content of an entry, None if it cannot be read. It is asked for small files alone."""


def diff(old: Side, new: Side, newer: Newer, read: Read) -> ImageDiff:
    """What differs from the one image to the other."""
    packages = tuple(_components(old.bom.components, new.bom.components, newer))
    before, after = _unlike(old.manifest, new.manifest)
    moved = {change.name for change in packages if change.ecosystem == "deb"}
    files = tuple(_files(before, after, {**old.owners, **new.owners}, moved))
    return ImageDiff(
        old=digest(old.manifest),
        new=digest(new.manifest),
        packages=packages,
        files=files,
        units=tuple(sorted(_units(before, after), key=lambda each: (each.unit, each.target, each.kind))),
        texts=tuple(_texts(before, after, read)),
    )


def text(changes: ImageDiff, *, all_files: bool = False) -> str:
    """The difference for a person; files that follow from a package's change are counted unless all are wanted."""
    if not changes:
        return f"{short(changes.old)} and {short(changes.new)} are the same image"
    lines = [f"{short(changes.old)} -> {short(changes.new)}"]
    if changes.packages:
        width = max(len(change.name) for change in changes.packages)
        lines += ["packages", *(_package_line(change, width) for change in changes.packages)]
    told = [change for change in changes.files if all_files or not change.follows]
    configuration = [change for change in told if change.path.startswith("/etc/")]
    if changes.units or configuration:
        lines += ["configuration", *(f"  {each.kind:<10} {each.unit}{_by(each)}" for each in changes.units)]
        texts = {each.path: each for each in changes.texts}
        for change in configuration:
            lines += [_file_line(change), *_text_lines(texts.get(change.path))]
    others = [change for change in told if not change.path.startswith("/etc/")]
    if others or len(told) < len(changes.files):
        lines += ["files", *map(_file_line, others)]
    if len(told) < len(changes.files):
        lines.append(_counted(change for change in changes.files if change.follows))
    return "\n".join([*lines, summary(changes)])


def summary(changes: ImageDiff) -> str:
    """`packages: 1 added, 3 upgraded; files: 12 changed`."""
    parts = []
    for what, kinds in (("packages", changes.packages), ("files", changes.files)):
        counts = Counter(change.kind for change in kinds)
        told = ", ".join(f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind])
        parts.append(f"{what}: {told or 'none'}")
    return "; ".join(parts)


def _components(old: Iterable[Component], new: Iterable[Component], newer: Newer) -> Iterator[ComponentChange]:
    before, after = _by_name(old), _by_name(new)
    for key in sorted({*before, *after}):
        was, now = before.get(key, []), after.get(key, [])
        one, other = _versions(was), _versions(now)
        if one != other:
            seen = (now or was)[0]
            kind = _kind(seen.ecosystem, one, other, newer)
            source = seen.source if seen.ecosystem == "deb" else f"package {seen.owner}" if seen.owner else seen.path
            yield ComponentChange(kind, seen.ecosystem, seen.name, ", ".join(one), ", ".join(other), source)


def _by_name(components: Iterable[Component]) -> dict[tuple[str, str, str], list[Component]]:
    found: dict[tuple[str, str, str], list[Component]] = {}
    for each in components:
        found.setdefault((each.ecosystem, each.name, each.architecture), []).append(each)
    return found


def _versions(components: Iterable[Component]) -> list[str]:
    return sorted(each.version or "?" for each in components)


def _kind(ecosystem: str, was: list[str], now: list[str], newer: Newer) -> Kind:
    if not was or not now:
        return "removed" if was else "added"
    if ecosystem == "deb" and len(was) == len(now) == 1:
        return "upgraded" if newer(now[0], was[0]) else "downgraded"
    return "changed"


def _unlike(old: str, new: str) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """The entries by path that only one of two manifests has so."""
    ours, theirs = set(old.splitlines()), set(new.splitlines())
    return _entries(ours - theirs), _entries(theirs - ours)


def _entries(lines: Iterable[str]) -> dict[str, Entry]:
    entries = map(Entry.parse, lines)
    return {f"/{entry.path.decode('utf-8', 'surrogateescape')}": entry for entry in entries}


def _files(
    before: Mapping[str, Entry], after: Mapping[str, Entry], owners: Mapping[str, str], moved: set[str]
) -> Iterator[FileChange]:
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        kind: Kind = "changed" if was and now else "removed" if was else "added"
        what = tuple(_aspects(was, now)) if was and now else ()
        owner = owners.get(path, "")
        yield FileChange(kind, shown(path), what, owner, owner in moved or path.startswith(_DPKG))


def _aspects(was: Entry, now: Entry) -> Iterator[str]:
    """In which ways two entries of one path differ. Of times only where nothing else differs: they follow contents."""
    told = False
    for name, one, other in (
        ("", was.kind, now.kind),
        ("mode", f"{was.mode:04o}", f"{now.mode:04o}"),
        ("owner", f"{was.uid}:{was.gid}", f"{now.uid}:{now.gid}"),
        ("capabilities", was.capability.hex() or "none", now.capability.hex() or "none"),
    ):
        if one != other:
            told = True
            yield f"{name} {one} -> {other}".strip()
    if was.kind == now.kind and was.content != now.content:
        told = True
        links = was.kind == "link"
        yield f"{_target(was)} -> {_target(now)}" if links else f"content, {was.size} -> {now.size} bytes"
    if not told:
        yield f"time {was.time} -> {now.time}"


def _target(entry: Entry) -> str:
    return shown(entry.content.decode("utf-8", "surrogateescape"))


def _units(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[UnitChange]:
    was, now = set(_states(before)), set(_states(after))
    for target, unit in was - now:
        yield UnitChange("disabled" if target else "unmasked", shown(unit), shown(target))
    for target, unit in now - was:
        yield UnitChange("enabled" if target else "masked", shown(unit), shown(target))


def _states(entries: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    """Target and unit of each link that enables one; no target and the unit of each that masks one."""
    for path, entry in entries.items():
        if entry.kind == "link" and (match := _UNIT_LINK.fullmatch(path)):
            target, unit = match[1] or "", match[2]
            if target or entry.content == b"/dev/null":
                yield target, unit


def _texts(before: Mapping[str, Entry], after: Mapping[str, Entry], read: Read) -> Iterator[TextChange]:
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        files = [entry for entry in (was, now) if entry]
        same = len({(entry.content, entry.kind) for entry in files}) == 1 and len(files) == 2
        if not path.startswith("/etc/") or same or any(entry.kind != "file" for entry in files):
            continue
        if reason := _withheld(path, files):
            yield TextChange(shown(path), (), reason)
            continue
        contents = read("old", was) if was else b"", read("new", now) if now else b""
        lines = _compared(path, *contents)
        yield lines if isinstance(lines, TextChange) else TextChange(shown(path), tuple(lines))


def _withheld(path: str, files: Iterable[Entry]) -> str:
    if _SECRET_NAME.fullmatch(path):
        return "by its name it may hold a secret"
    if not all(entry.mode & OTHERS_READ for entry in files):
        return "not everybody on the server may read it"
    return "it is large" if any(entry.size > LARGEST_TEXT for entry in files) else ""


def _compared(path: str, old: bytes | None, new: bytes | None) -> list[str] | TextChange:
    if old is None or new is None:
        return TextChange(shown(path), (), "this user cannot read it, or it is not as its image has it")
    if secrets(path, old) or secrets(path, new):
        return TextChange(shown(path), (), "it holds what looks like a secret")
    try:
        one, other = old.decode(), new.decode()
    except UnicodeDecodeError:
        return TextChange(shown(path), (), "it is no text")
    if "\0" in one + other:
        return TextChange(shown(path), (), "it is no text")
    lines = list(difflib.unified_diff(one.splitlines(), other.splitlines(), n=2, lineterm=""))[2:]
    more = [f"... {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    return lines[:MOST_LINES] + more


def _package_line(change: ComponentChange, width: int) -> str:
    versions = " -> ".join(version for version in (change.old, change.new) if version)
    kind = "" if change.ecosystem == "deb" else f"{change.ecosystem}; "
    of = f"source {change.source}" if change.ecosystem == "deb" else change.source
    return f"{SIGNS[change.kind]} {change.kind:<10} {change.name:<{width}}  {versions}  ({kind}{of})"


def _file_line(change: FileChange) -> str:
    what = f"  {'; '.join(change.what)}" if change.what else ""
    return f"{SIGNS[change.kind]} {change.kind:<10} {change.path}{what}{f'  ({change.package})' * bool(change.package)}"


def _by(change: UnitChange) -> str:
    return f"  by {change.target}" if change.target else ""


def _text_lines(change: TextChange | None) -> list[str]:
    if change is None:
        return []
    if change.withheld:
        return [f"     (its lines are not shown: {change.withheld})"]
    return [f"     {line}" for line in change.lines]


def _counted(changes: Iterable[FileChange]) -> str:
    counts = Counter(change.package or "dpkg's records" for change in changes)
    named = ", ".join(f"{count} of {name}" for name, count in sorted(counts.items()))
    return f"  and {sum(counts.values())} that go with packages (--files shows them): {named}"
