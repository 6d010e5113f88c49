"""Exposed versions that stand in files of the declaration: found, and raised where it allows that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.patch.registry import ask_registry
from bluestone.app.project import Project
from bluestone.host.files import write_atomically
from bluestone.model.exposure import AFFECTED, Exposure
from bluestone.model.recipe import OverlayFile
from bluestone.patch.bumps import Ask, Bump, find_pin, has_pins, how, raised
from bluestone.patch.loop import newest
from bluestone.patch.pins.kept import LeftAlone

LARGEST = 8 * 1024 * 1024
"""Bytes of a file that is looked through for pins."""

MOST_FILES = 10_000
"""How many files of an overlay are looked at by their names."""


@dataclass
class Raised:
    """Files that were raised: what they held before, and their paths on the server."""

    before: dict[Path, bytes] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)

    def undo(self) -> None:
        """Put back what the files held."""
        for file, content in self.before.items():
            write_atomically(file, content, file.stat().st_mode & 0o7777)


class _File(Struct, frozen=True):
    """A file with pins: on this machine, on the server, and its text."""

    place: Path
    path: str
    text: str


def bumps(project: Project, exposures: Iterable[Exposure], ask: Ask = ask_registry) -> tuple[Bump, ...]:
    """The versions that would end exposures of components that the declaration lays into the image.

    `ask` is who tells what a raised lock must name; it is asked of files alone that may be raised.
    """
    wanted: dict[tuple[str, str, str], list[Exposure]] = {}
    for each in exposures:
        component = each.component
        real = each.verdict in AFFECTED or component.declared
        if component.ecosystem != "deb" and not component.owner and each.fixed and real:
            wanted.setdefault((component.ecosystem, component.name, component.version), []).append(each)
    if not wanted:
        return ()
    files = [file for overlay in project.declaration.recipe.files for file in _files(overlay)]
    found = [bump for about in wanted.values() for bump in _bumps(project, about, files, cache(ask))]
    return tuple(sorted(set(found), key=lambda bump: (bump.file, bump.line, bump.name)))


def raise_pins(project: Project, found: Iterable[Bump], ask: Ask = ask_registry) -> Raised:
    """Write the versions that may be raised into their files; one that cannot be any more is left. Raises `Problem`."""
    made = Raised()
    for bump in found:
        if not bump.raises:
            continue
        place = (project.file.parent / bump.file).resolve()
        content = place.read_bytes()
        made.before.setdefault(place, content)
        made.paths.add(bump.path)
        with suppress(LeftAlone):  # Its registry does not answer any more: the rest of a patch need not wait for that.
            if text := _raised(_File(place, bump.path, content.decode()), bump, ask):
                write_atomically(place, text.encode(), place.stat().st_mode & 0o7777)
    return made


def _raised(file: _File, bump: Bump, ask: Ask) -> str:
    """The text with the new version; empty if the old one is not there any more. Raises `LeftAlone`."""
    if not find_pin(file.place.name, file.text, bump.ecosystem, bump.name, bump.old):
        return ""
    return raised(file.place.name, file.text, bump.name, bump.old, bump.new, ask)


def _bumps(project: Project, about: list[Exposure], files: list[_File], ask: Ask) -> Iterator[Bump]:
    component = about[0].component
    new = newest(component.ecosystem, {each.fixed for each in about})
    names = tuple(sorted({name for each in about for name in each.advisory.names}))
    base = Bump(
        component.ecosystem, component.name, component.version, new, "", 0, "", names,
        how(component.ecosystem, component.name, component.version, new),
        # What a lock names and nothing else has is there with the file; a jar or a module is made from it.
        rebuilds=component.ecosystem != "pypi" and not all(each.component.declared for each in about),
    )  # fmt: skip
    pinned = False
    for file in files:
        allowed = file.place.resolve() in _allowed(project)
        # One that was raised and not rolled out, as after a crash, is raised still: servers run the old one.
        versions = (component.version, new) if allowed else (component.version,)
        found = (find_pin(file.place.name, file.text, component.ecosystem, component.name, each) for each in versions)
        if line := next(filter(None, found), 0):
            pinned = True
            bump = replace(base, file=_shown(project, file.place), line=line, path=file.path, raises=allowed)
            try:
                if allowed:
                    _raised(file, bump, ask)
            except LeftAlone as why:
                bump = replace(bump, raises=False, kept=str(why))
            yield bump
    if not pinned:
        for each in about:
            if place := _source_of(project, each.component.path.partition("!")[0]):
                yield replace(base, file=_shown(project, place), path=each.component.path)


def _files(overlay: OverlayFile) -> Iterator[_File]:
    """The files of an overlay that pin versions."""
    if overlay.source is None:
        return
    if overlay.source.is_file():
        yield from _read(overlay.source, overlay.target)
        return
    seen = 0
    for directory, below, names in os.walk(overlay.source):
        below.sort()
        for name in sorted(names):
            seen += 1
            if seen > MOST_FILES:
                return
            place = Path(directory) / name
            yield from _read(place, str(PurePosixPath(overlay.target) / place.relative_to(overlay.source)))


def _read(place: Path, path: str) -> Iterator[_File]:
    name = place.name
    if not has_pins(name) or place.is_symlink():
        return
    try:
        if place.stat().st_size <= LARGEST:
            yield _File(place, path, place.read_bytes().decode())
    except (OSError, UnicodeDecodeError):
        return  # The build reads it as well, and says what is wrong with it.


def _source_of(project: Project, path: str) -> Path | None:
    """The file on this machine that a path on the server was laid from."""
    for overlay in project.declaration.recipe.files:
        if overlay.source is None:
            continue
        if path == overlay.target:
            return overlay.source
        if path.startswith(f"{overlay.target}/"):
            place = overlay.source / path.removeprefix(f"{overlay.target}/")
            return place if place.exists() else overlay.source
    return None


def _allowed(project: Project) -> set[Path]:
    directory = project.file.parent.resolve()
    return {(directory / name).resolve() for name in project.declaration.patch.raises}


def _shown(project: Project, place: Path) -> str:
    """A file as the declaration would name it."""
    try:
        return str(place.resolve().relative_to(project.file.parent.resolve()))
    except ValueError:
        return str(place)
