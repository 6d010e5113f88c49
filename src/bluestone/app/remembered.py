"""A declaration or lock that was read before is not checked again: its checked form is kept, with what it came from.

Checking a declaration needs pydantic, whose loading takes longer than all the rest of `bluestone status`; a lock is
thousands of lines of TOML.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bluestone import __version__
from bluestone.host.files import write_atomically
from bluestone.host.paths import Home, private_directory
from bluestone.model.declaration import Declaration
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem

MAX_FILE = 1 << 20
"""As the declaration's own limit: what is larger is read anew each time, or refused."""

Kept = TypeVar("Kept", "Remembered", "RememberedLock")


class Remembered(Struct, frozen=True):
    """A checked declaration; `origin` is the digest of everything that it depends on."""

    origin: str
    declaration: Declaration


class RememberedLock(Struct, frozen=True):
    """A checked lock; `origin` is as above."""

    origin: str
    lock: Lock


def read(file: Path, home: Home) -> Declaration:
    """The declaration in a file. Raises `Problems` with all that is wrong in it."""
    origin = _origin(file)
    place = _place(file, home)
    known = _kept(place, Remembered)
    if known is not None and known.origin == origin and _complete(known.declaration):
        return known.declaration
    from bluestone import declaration as declarations

    found = declarations.read(file)
    if origin is not None:
        _keep(place, Remembered(origin, found))
    return found


def read_lock(file: Path, home: Home) -> Lock | None:
    """The lock in a file, or None if there is none yet. Raises `Problem` for one that is damaged."""
    origin = _origin(file)
    place = _place(file, home)
    known = _kept(place, RememberedLock)
    if known is not None and known.origin == origin:
        return known.lock
    from bluestone.image.lock import stored

    found = stored.read(file)
    if found is not None and origin is not None:
        _keep(place, RememberedLock(origin, found))
    return found


def last(file: Path, home: Home) -> Declaration | None:
    """The declaration as it was when it was last right, whatever is in the file now; None if it never was."""
    known = _kept(_place(file, home), Remembered)
    return known.declaration if known else None


def _place(file: Path, home: Home) -> Path:
    return home.state / "declarations" / f"{hashlib.sha256(bytes(file.absolute())).hexdigest()[:32]}.json"


def _from_text(kind: type, text: str) -> object:
    return kind(text)


def _kept(place: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=kind, dec_hook=_from_text)
    except (OSError, msgspec.DecodeError):
        return None


def _keep(place: Path, value: Remembered | RememberedLock) -> None:
    # A full or read-only disk is no reason not to go on: it only means checking again next time.
    with suppress(Problem):
        private_directory(place.parent)
        write_atomically(place, msgspec.json.encode(value, enc_hook=str))


def _complete(declaration: Declaration) -> bool:
    """Whether what it names exists: that is part of the check, and may have changed without the file."""
    recipe = declaration.recipe
    named = [file.source for file in recipe.files if file.source is not None]
    named += [recipe.puppet.directory / recipe.puppet.manifest] if recipe.puppet else []
    named += [recipe.ansible.directory / recipe.ansible.playbook] if recipe.ansible else []
    named += [*(archive.key for archive in recipe.archives), *(deb.path for deb in recipe.debs)]
    return all(path.exists() for path in named)


def _origin(file: Path) -> str | None:
    """What the checked form depends on: bluestone, where the file is, and what is in it; None if that is too much."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE + 1)
    except OSError:
        return None
    if len(text) > MAX_FILE:
        return None
    return hashlib.sha256(b"\0".join([__version__.encode(), bytes(file.absolute()), text])).hexdigest()
