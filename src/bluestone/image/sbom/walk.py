"""A tree and its manifest -> all that is in it. The manifest is the walk: only what may tell something is opened."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Container
from pathlib import Path
from posixpath import join, normpath
from typing import NamedTuple

from bluestone.image.sbom import bundles, go, java, node, python, rust
from bluestone.image.sbom.archive import Damaged, Zip
from bluestone.image.sbom.dpkg import Database
from bluestone.image.sbom.elf import HEAD, Elf
from bluestone.image.sbom.elf import MAGIC as ELF
from bluestone.image.sbom.maven import Coordinates, of_place
from bluestone.image.sbom.place import Place
from bluestone.image.tree import Entry, digest
from bluestone.model.bom import Bom, Component, LooseFile, Unidentified

LARGEST = 16 << 20
"""Bytes of a file that describes a package; what is larger describes none."""

DPKG = "/var/lib/dpkg/"
"""What is below belongs to no package, but to dpkg itself."""

MOST_MEMBERS = 20
"""Distributions in one archive that are looked at at most."""

WHEELS = (".whl", ".egg")
TEXTS: dict[str, Callable[[Place, bytes], list[Component]]] = {
    "METADATA": python.catalogue,
    "PKG-INFO": python.catalogue,
    node.FILE: node.catalogue,
    **dict.fromkeys(node.LOCKS, node.locked),
    rust.LOCK: rust.locked,
}
"""Names of files that describe packages -> what reads them."""

MUTE = ("0644", "0600", "0640")
"""Modes, as manifests have them, of most files that nobody may execute."""

TELLING = frozenset(suffix[1:] for suffix in (*java.SUFFIXES, *WHEELS, ".egg-info"))
"""Ends of names of files that may describe packages."""

LOCKS = (*node.LOCKS, rust.LOCK)
LONGEST_CHAIN = 8
"""Links that are followed one after another at most."""

ORDER = ("deb", "pypi", "npm", "maven", "golang", "cargo")


class _File(NamedTuple):
    path: str
    mode: int
    size: int
    sha256: str


def contents(root: Path, manifest: str, silent: set[str] | None = None) -> Bom:
    """The bill of the tree at `root` (see `image.tree` for its manifest). Raises `OSError` for what cannot be read.

    `silent` are programs that are known not to tell anything (`sbom.silent`); those that are found are added to them.
    """
    base = os.fsencode(root)
    database = Database(base)
    where, installed = database.components()
    owners = database.owners()
    files, links = _parse(manifest, owners)
    walk = _Walk(base, owners, _repository(links), set() if silent is None else silent)
    for file in files:
        walk.see(file)
    components = sorted(_really_there([*installed, *walk.components]), key=_rank)
    return Bom(
        image=digest(manifest),
        distribution=where.name,
        release=where.release,
        components=tuple(components),
        files=tuple(walk.loose),
        unidentified=tuple(sorted(walk.unidentified, key=lambda each: each.path)),
    )


class _Walk:
    """What was seen of the files of a tree so far."""

    def __init__(
        self, base: bytes, owners: dict[str, str], repository: dict[str, dict[Coordinates, str]], silent: set[str]
    ) -> None:
        self.components: list[Component] = []
        self.loose: list[LooseFile] = []
        self.unidentified: list[Unidentified] = []
        self._base = base
        self._owners = owners
        self._repository = repository
        self._silent = silent

    def see(self, file: _File) -> None:
        """Look at a file, and into it if it may tell of more than itself."""
        owner = self._owners.get(file.path, "")
        path = _shown(file.path)
        if not owner and not path.startswith(DPKG):
            self.loose.append(LooseFile(path, file.sha256, file.size))
        name = path[path.rfind("/") + 1 :]
        suffix = name[name.rfind(".") :].lower()
        if name in TEXTS or suffix == ".egg-info":
            self._text(Place(path, owner), name, file)
        elif suffix in java.SUFFIXES:
            self._java(Place(path, owner), file)
        elif not owner and bundles.is_bundle(name):
            self._bundle(Place(path), file)
        elif suffix in WHEELS:
            self._wheel(Place(path, owner), file)
        elif file.size >= HEAD and (file.mode & 0o111 or ".so" in name) and file.sha256 not in self._silent:
            self._program(Place(path, owner), file)

    def _text(self, place: Place, name: str, file: _File) -> None:
        catalogue = TEXTS.get(name, python.catalogue)
        if catalogue is python.catalogue:
            wanted = python.describes(place.path)
        elif name in LOCKS:
            wanted = _is_lock_of_image(place, name)
        else:
            wanted = True
        if not wanted or file.size > LARGEST:
            return
        with self._open(file) as opened:
            self.components += catalogue(place, opened.read_at(0, file.size))

    def _java(self, place: Place, file: _File) -> None:
        called = self._repository.get(file.path, {})
        with self._open(file) as opened:
            found = java.catalogue(place, opened.read_at, file.size, tuple(called))
        self.unidentified += found.unidentified
        names = {(each.name.rpartition(":")[2], each.version) for each in found.components}
        aliases = [each for each in called if each[1:3] not in names]
        self.components += found.components
        self.components += [java.by_place(_shown(called[each]), place.owner, each) for each in aliases]

    def _bundle(self, place: Place, file: _File) -> None:
        """What is packed for the server to unpack. Of what packages bring, dpkg knows already what it is."""
        with self._open(file) as opened:
            found = bundles.catalogue(place, opened.read_at, file.size)
        self.components += found.components
        self.unidentified += found.unidentified

    def _wheel(self, place: Place, file: _File) -> None:
        """Distributions that are imported from their archive."""
        with self._open(file) as opened:
            try:
                archive = Zip(opened.read_at, file.size)
                members = [name for name in archive.names if python.describes(place.within(name).path)]
                for name in members[:MOST_MEMBERS]:
                    self.components += python.catalogue(place.within(name), archive.read(name, LARGEST))
            except Damaged as error:
                self.unidentified.append(Unidentified(place.path, str(error), place.owner))

    def _program(self, place: Place, file: _File) -> None:
        with self._open(file) as opened:
            head = opened.read_at(0, HEAD)
            if head[:4] != ELF:
                self._silent.add(file.sha256)
                return
            try:
                elf = Elf(head, opened.read_at)
                sections = elf.sections((go.SECTION, rust.SECTION))
                if sections or not elf.has_sections:
                    self.components += go.catalogue(place, elf, sections.get(go.SECTION))
                    if rust.SECTION in sections:
                        self.components += rust.catalogue(place, sections[rust.SECTION])
                else:
                    self._silent.add(file.sha256)
            except (ValueError, struct.error) as error:
                reason = f"its build information cannot be read: {error}"
                self.unidentified.append(Unidentified(place.path, reason, place.owner))

    def _open(self, file: _File) -> _Opened:
        return _Opened(self._base + os.fsencode(file.path))


class _Opened:
    """A file open for reading at any place. Never a link's target, which may be outside; nor a fifo's end."""

    def __init__(self, path: bytes) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read_at(self, offset: int, length: int) -> bytes:
        """That much of the file, or what there is of it."""
        if offset < 0 or length <= 0 or offset >= 1 << 62:
            return b""
        return os.pread(self._descriptor, length, offset)


def _parse(manifest: str, owners: Container[str]) -> tuple[list[_File], dict[str, str]]:
    """The files of no package and those that may tell something; and where links lead that name an archive.

    Most lines are about neither, and to parse them in full would take as long as everything else.
    """
    files, links = [], {}
    for line in manifest.splitlines():
        if line.startswith("file "):
            if "%" in line:
                entry = Entry.parse(line)
                files.append(_File(_text_of(entry.path), entry.mode, entry.size, entry.content.decode()))
                continue
            path = f"/{line[line.rindex(' ') + 1 :]}"
            if path not in owners or line[5:9] not in MUTE or _may_tell(path[path.rindex("/") + 1 :]):
                _, mode, _, _, _, size, content, _, _ = line.split(" ")
                files.append(_File(path, int(mode, 8), int(size), content))
        elif line.startswith("link ") and line.endswith(java.SUFFIXES):
            entry = Entry.parse(line)
            path = _text_of(entry.path)
            links[path] = normpath(join(path.rpartition("/")[0], os.fsdecode(entry.content)))
    return files, links


def _may_tell(name: str) -> bool:
    """Whether a file of this name, which nobody may execute, is one that `_Walk.see` looks into."""
    return name in TEXTS or ".so" in name or name.rpartition(".")[2].lower() in TELLING


def _text_of(path: bytes) -> str:
    return f"/{os.fsdecode(path)}"


def _shown(path: str) -> str:
    """A path as text: bytes that are none are escaped."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def _is_lock_of_image(place: Place, name: str) -> bool:
    """Whether a lock file tells of this image: those within packages tell what their authors had."""
    if name == node.INSTALLED_LOCK:
        return True
    return not place.owner and "/node_modules/" not in place.path


def _repository(links: dict[str, str]) -> dict[str, dict[Coordinates, str]]:
    """Archive -> coordinates by which links in a Maven repository call it -> the link."""
    found: dict[str, dict[Coordinates, str]] = {}
    for link in links:
        coordinates, target = of_place(link), link
        for _ in range(LONGEST_CHAIN):
            target = links.get(target, target)
        if coordinates:
            found.setdefault(target, {}).setdefault(coordinates, link)
    return found


def _really_there(components: list[Component]) -> list[Component]:
    """Without those that a lock file names and that are there as well, and without repetitions."""
    there = {each.purl for each in components if not each.declared}
    kept = [each for each in components if not each.declared or each.purl not in there]
    return list({(each.purl, each.path): each for each in kept}.values())


def _rank(component: Component) -> tuple[int, str, str, str, str]:
    place = ORDER.index(component.ecosystem)
    return place, component.name, component.version, component.path, component.purl
