"""Rust crates: the list that cargo-auditable leaves in a program, and Cargo.lock. Pure."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from bluestone.image.sbom.place import Place
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component

SECTION = b".dep-v0"
LOCK = "Cargo.lock"
LARGEST = 8 << 20
"""Bytes that the list may have when unpacked: what cargo-auditable's own reader allows."""


class _Crate(msgspec.Struct):
    name: str
    version: str
    kind: str = "runtime"


class _Crates(msgspec.Struct):
    packages: list[_Crate]


def catalogue(place: Place, section: bytes) -> list[Component]:
    """The crates that are linked into a program, by its section `SECTION`. Raises `ValueError`."""
    unpack = zlib.decompressobj()
    try:
        data = unpack.decompress(section, LARGEST)
        if unpack.unconsumed_tail:
            raise ValueError("the list of crates is too long")
        crates = msgspec.json.decode(data, type=_Crates).packages
    except (zlib.error, msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"the list of crates cannot be read: {error}") from error
    linked = {(crate.name, crate.version) for crate in crates if crate.kind != "build" and crate.name and crate.version}
    return [_component(place, *pair, "list of cargo-auditable in a program") for pair in sorted(linked)]


def locked(place: Place, data: bytes) -> list[Component]:
    """The crates that a Cargo.lock names, as declared."""
    import tomllib

    try:
        lock: dict[str, Any] = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return []
    entries = lock.get("package")
    pairs = {
        (entry["name"], entry["version"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("version"), str)
    }
    return [_component(place, *pair, "named by a lock file", declared=True) for pair in sorted(pairs) if all(pair)]


def _component(place: Place, name: str, version: str, evidence: str, *, declared: bool = False) -> Component:
    return Component(
        ecosystem="cargo",
        name=name,
        version=version,
        purl=purl("cargo", "", name, version),
        path=place.path,
        evidence=evidence,
        confidence=0.5 if declared else 1.0,
        owner=place.owner,
        declared=declared,
    )
