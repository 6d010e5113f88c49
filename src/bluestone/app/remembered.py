"""A declaration that was read before need not be checked again: its checked form is kept, named by what it came from.

Checking needs pydantic, whose loading takes longer than all the rest of `bluestone status`.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from bluestone import __version__
from bluestone.host.files import write_atomically
from bluestone.host.paths import Home, private_directory
from bluestone.model.declaration import Declaration
from bluestone.model.problem import Problem

MAX_FILE = 1 << 20
"""As the declaration's own limit: what is larger is left to it to refuse."""


class Remembered(Struct, frozen=True):
    """A checked declaration; `origin` is the digest of everything that it depends on."""

    origin: str
    declaration: Declaration


def read(file: Path, home: Home) -> Declaration:
    """The declaration in a file. Raises `Problems` with all that is wrong in it."""
    origin = _origin(file)
    place = _place(file, home)
    if origin is not None and (known := _recall(place, origin)) is not None:
        return known
    from bluestone import declaration as declarations

    found = declarations.read(file)
    if origin is not None:
        # A full or read-only disk is no reason not to go on: it only means checking again next time.
        with suppress(Problem):
            private_directory(place.parent)
            write_atomically(place, msgspec.json.encode(Remembered(origin, found), enc_hook=str))
    return found


def last(file: Path, home: Home) -> Declaration | None:
    """The declaration as it was when it was last right, whatever is in the file now; None if it never was."""
    try:
        kept = _place(file, home).read_bytes()
        return msgspec.json.decode(kept, type=Remembered, dec_hook=_from_text).declaration
    except (OSError, msgspec.DecodeError):
        return None


def _place(file: Path, home: Home) -> Path:
    return home.state / "declarations" / f"{hashlib.sha256(bytes(file.absolute())).hexdigest()[:32]}.json"


def _from_text(kind: type, text: str) -> object:
    return kind(text)


def _recall(place: Path, origin: str) -> Declaration | None:
    try:
        known = msgspec.json.decode(place.read_bytes(), type=Remembered, dec_hook=_from_text)
    except (OSError, msgspec.DecodeError):
        return None
    # Whether what it names exists is part of the check, and may have changed without the file.
    recipe = known.declaration.recipe
    named = [file.source for file in recipe.files if file.source is not None]
    named += [recipe.puppet.directory / recipe.puppet.manifest] if recipe.puppet else []
    named += [recipe.ansible.directory / recipe.ansible.playbook] if recipe.ansible else []
    named += [*(archive.key for archive in recipe.archives), *(deb.path for deb in recipe.debs)]
    return known.declaration if known.origin == origin and all(path.exists() for path in named) else None


def _origin(file: Path) -> str | None:
    """What the checked form depends on: bluestone, where the file is, and what is in it."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE + 1)
    except OSError:
        return None
    return hashlib.sha256(b"\0".join([__version__.encode(), bytes(file.absolute()), text])).hexdigest()
