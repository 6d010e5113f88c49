"""Go modules, as the linker writes them into each program (debug/buildinfo of Go's library describes it). Pure."""

from __future__ import annotations

import re
import struct

from bluestone.image.sbom.elf import Elf
from bluestone.image.sbom.place import Place
from bluestone.image.sbom.purl import purl
from bluestone.model.bom import Component

SECTION = b".go.buildinfo"
MAGIC = b"\xff Go buildinf:"
EVIDENCE = "build information of a Go program"
_WRITTEN = re.compile(r"\.(?:[gG]it)?(?:[bB]uild)?[vV]er(?:sion)?=v?(\d+\.\d+\.\d+[-\w]*)")
UNKNOWN = "(devel)"
"""The version of a module that was built from a working tree."""


def catalogue(place: Place, elf: Elf, section: bytes | None) -> list[Component]:
    """The modules of a program and the Go release that it was built with; none if it is not Go's.

    `section` is `SECTION`'s content, if there is such a section. Raises `ValueError` and `struct.error`.
    """
    if section is None:
        section = b"" if elf.has_sections else _search(elf)
    if not section.startswith(MAGIC):
        return []
    version, modules = _strings(elf, section)
    if not version.startswith("go") and not version.startswith("devel"):
        return []
    found = {("stdlib", version.split(" ")[0].removeprefix("go"))} | set(parse(modules))
    return [_component(place, name, release) for name, release in sorted(found)]


def parse(text: str) -> list[tuple[str, str]]:
    """Module paths and versions of a text as `go version -m` prints it; a replaced module is what replaces it."""
    found: list[tuple[str, str]] = []
    settings: dict[str, str] = {}
    program = ""
    for line in text.splitlines():
        kind, *rest = line.split("\t")
        if kind == "path" and rest and rest[0] != "command-line-arguments":
            program = rest[0]
        if kind == "build" and rest:
            name, _, value = rest[0].partition("=")
            settings[name] = value
        if kind == "mod" and len(rest) > 1 and rest[1] == UNKNOWN:
            program = rest[0]
        if kind in ("mod", "dep", "=>") and len(rest) >= 1 and rest[0]:
            if kind == "=>" and found:
                found.pop()
            # Replaced by a directory: there is no version.
            found.append((rest[0], rest[1] if len(rest) > 1 and rest[1] else UNKNOWN))
    # Debian builds without modules: then the program alone is named.
    found = found or ([(program, UNKNOWN)] if program else [])
    return [(name, _told(settings) if (name, version) == (program, UNKNOWN) else version) for name, version in found]


def _told(settings: dict[str, str]) -> str:
    """The version of a program from a working tree: what its makers had the linker write, or else its commit's."""
    if match := _WRITTEN.search(settings.get("-ldflags", "")):
        return f"v{match[1]}"
    revision, time = settings.get("vcs.revision", ""), "".join(filter(str.isdigit, settings.get("vcs.time", "")))
    return f"v0.0.0-{time[:14]}-{revision[:12]}" if revision and len(time) >= 14 else UNKNOWN


def _search(elf: Elf) -> bytes:
    """The section's content where the table of sections is gone: at the start of the data, on a multiple of 16."""
    for segment in elf.segments():
        if segment.writable:
            data = elf.memory(segment.address, 1 << 16)
            at = data.find(MAGIC)
            if at >= 0 and at % 16 == 0:
                return elf.memory(segment.address + at, 1 << 20)
    return b""


def _strings(elf: Elf, section: bytes) -> tuple[str, str]:
    """The release of Go and the text on modules. Since Go 1.18 they stand there, before they were pointed at."""
    width, flags = section[14], section[15]
    if flags & 2:
        version, rest = _counted(section[32:])
        modules, _ = _counted(rest)
    else:
        order = ">" if flags & 1 else "<"
        form = order + ("Q" if width == 8 else "I")
        pointers = struct.unpack_from(order + 2 * form[1], section, 16)
        version, modules = (_pointed(elf, pointer, form, width) for pointer in pointers)
    # Sixteen bytes on either side let a running program find it.
    if len(modules) >= 33 and modules[-17:-16] == b"\n":
        modules = modules[16:-16]
    return version.decode(errors="replace"), modules.decode(errors="replace")


def _counted(data: bytes) -> tuple[bytes, bytes]:
    """A string with its length before it (unsigned LEB128), and what comes after."""
    length = shift = at = 0
    while True:
        byte = data[at : at + 1]
        if not byte or shift > 35:
            raise ValueError("a length has no end")
        length |= (byte[0] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte[0] & 0x80:
            return data[at : at + length], data[at + length :]


def _pointed(elf: Elf, pointer: int, form: str, width: int) -> bytes:
    header = elf.memory(pointer, 2 * width)
    if len(header) < 2 * width:
        return b""
    address, length = struct.unpack(form[0] + 2 * form[1], header)
    return elf.memory(address, length)


def _component(place: Place, name: str, version: str) -> Component:
    space, _, last = name.lower().rpartition("/")
    return Component(
        ecosystem="golang",
        name=name,
        version=version,
        purl=purl("golang", space, last, "" if version == UNKNOWN else version),
        path=place.path,
        evidence=EVIDENCE,
        owner=place.owner,
    )
