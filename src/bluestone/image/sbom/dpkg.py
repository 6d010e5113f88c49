"""dpkg's database: installed packages, the sources that they were built from, and whose each file is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property

from msgspec import Struct

from bluestone.image.sbom.licences import of_copyright
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component

STATUS = "/var/lib/dpkg/status"
NOT_THERE = ("config-files", "not-installed")
"""States (dpkg(1)) of a package of which nothing but its configuration is left."""

INFO = b"/var/lib/dpkg/info"
DOCUMENTS = b"/usr/share/doc"
DIRECTORIES = (b"/etc", b"/usr/lib", b"/var/lib/dpkg", INFO, DOCUMENTS)
"""Directories that are read here."""

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories that may be links to those of the same name in /usr."""

LARGEST = 64 << 20
"""Bytes of a file of dpkg's that are read at most."""

_WANTED = frozenset(
    ("Package", "Status", "Version", "Architecture", "Source", "Built-Using", "Static-Built-Using", "Multi-Arch")
)
_SOURCE = re.compile(r"(\S+)(?: \((.+)\))?")


class Distribution(Struct, frozen=True):
    """What os-release(5) says: `debian`, `13`."""

    name: str = "debian"
    release: str = ""


def distribution(text: str) -> Distribution:
    """The distribution of a text like /etc/os-release."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    values = {name: value.strip().strip("\"'") for name, value in fields.items()}
    release = values.get("VERSION_ID") or values.get("VERSION_CODENAME", "")
    return Distribution(values.get("ID") or "debian", release)


def packages(text: str) -> Iterator[dict[str, str]]:
    """The fields of each package of a text like /var/lib/dpkg/status that is there, in its order."""
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.split("\n"):
            if line[:1] in (" ", "\t"):
                if last:
                    fields[last] += line
                continue
            name, _, value = line.partition(":")
            last = name if name in _WANTED else ""
            if last:
                fields[last] = value.strip()
        if fields.get("Package") and fields.get("Version") and fields.get("Status", "").split(" ")[-1] not in NOT_THERE:
            yield fields


def component(fields: dict[str, str], where: Distribution, licences: tuple[str, ...]) -> Component:
    """The component of a package's fields."""
    name, version, architecture = fields["Package"], fields["Version"], fields.get("Architecture", "")
    match = _SOURCE.match(fields.get("Source", ""))
    using = ", ".join(filter(None, (fields.get("Built-Using"), fields.get("Static-Built-Using"))))
    distro = f"{where.name}-{where.release}" if where.release else where.name
    return Component(
        ecosystem="deb",
        name=name,
        version=version,
        purl=purl("deb", where.name, name, version, arch=architecture, distro=distro),
        path=STATUS,
        evidence="dpkg's database",
        licences=licences,
        architecture=architecture,
        source=match[1] if match else name,
        source_version=(match[2] if match else None) or version,
        built_using=tuple(sorted({part.strip() for part in using.split(",") if part.strip()})),
    )


class Database:
    """dpkg's database in the tree at `root` (bytes). What is not there is empty: a tree need not be Debian's."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        real = os.path.realpath(root)
        # A link on the way could lead out of the tree, into this machine's own database.
        self._plain = {name for name in DIRECTORIES if os.path.realpath(root + name) == real + name}

    def components(self) -> tuple[Distribution, list[Component]]:
        """The distribution, and the installed packages."""
        release = self._read(b"/usr/lib/os-release") or self._read(b"/etc/os-release")
        where = distribution(release.decode(errors="replace"))
        text = self._read(STATUS.encode()).decode(errors="replace")
        return where, [component(fields, where, self._licences(fields["Package"])) for fields in packages(text)]

    def owners(self) -> dict[str, str]:
        """Path in the tree (beginning with `/`) -> the binary package that it is of, without its architecture."""
        owners: dict[str, str] = {}
        for name in self._names(INFO):
            if name.endswith(b".list"):
                owner = os.fsdecode(name[:-5].partition(b":")[0])
                paths = os.fsdecode(self._read(INFO + b"/" + name)).split("\n")
                owners.update(dict.fromkeys(paths, owner))
        self._divert(owners)
        self._merge(owners)
        return owners

    def _licences(self, package: str) -> tuple[str, ...]:
        """Of usr/share/doc/PACKAGE, which may be a link to another package's beside it."""
        name = package.encode()
        if name in self._linked_documents:
            name = os.readlink(self._root + DOCUMENTS + b"/" + name)
            if name in self._linked_documents:
                return ()
        if b"/" in name or name == b".." or DOCUMENTS not in self._plain:
            return ()
        return of_copyright(self._content(DOCUMENTS + b"/" + name + b"/copyright"))

    @cached_property
    def _linked_documents(self) -> set[bytes]:
        """Names in usr/share/doc that are links."""
        if DOCUMENTS not in self._plain:
            return set()
        with suppress(OSError), os.scandir(self._root + DOCUMENTS) as entries:
            return {entry.name for entry in entries if entry.is_symlink()}
        return set()

    def _divert(self, owners: dict[str, str]) -> None:
        """Of three lines each (dpkg-divert(1)): what was to be at one path is at another, but for one package's."""
        lines = os.fsdecode(self._read(b"/var/lib/dpkg/diversions")).split("\n")
        for path, moved, package in zip(lines[0::3], lines[1::3], lines[2::3], strict=False):
            owner = owners.get(path)
            if owner is not None and owner != package:
                owners[moved] = owner
                del owners[path]

    def _merge(self, owners: dict[str, str]) -> None:
        """Where /lib is a link to /usr/lib, a package may still list its files below /lib."""
        merged = tuple(f"/{name}/" for name in MERGED if self._is_merged(name))
        if merged:
            for path in [path for path in owners if path.startswith(merged)]:
                owners.setdefault(f"/usr{path}", owners[path])

    def _is_merged(self, name: str) -> bool:
        try:
            target = os.readlink(self._root + b"/" + name.encode())
        except OSError:
            return False
        return target.lstrip(b"/") == b"usr/" + name.encode()

    def _names(self, directory: bytes) -> list[bytes]:
        try:
            return sorted(os.listdir(self._root + directory)) if directory in self._plain else []
        except OSError:
            return []

    def _read(self, path: bytes) -> bytes:
        """The content of a file in one of the directories that are no link's target."""
        return self._content(path) if path.rpartition(b"/")[0] in self._plain else b""

    def _content(self, path: bytes) -> bytes:
        try:
            descriptor = os.open(self._root + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, min(os.fstat(descriptor).st_size, LARGEST), 0)
        except OSError:
            return b""
        finally:
            os.close(descriptor)
