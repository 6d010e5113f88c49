"""Reads dpkg's database of installed packages. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.model.image import Package

INSTALLED = "install ok installed"


def parse_status(text: str) -> tuple[Package, ...]:
    """The installed packages of a text like /var/lib/dpkg/status (deb-control(5)), sorted by name."""
    found = (_package(stanza) for stanza in text.split("\n\n"))
    return tuple(sorted((package for package in found if package), key=lambda package: package.name))


def _package(stanza: str) -> Package | None:
    fields = dict(_fields(stanza))
    if fields.get("Status") != INSTALLED:
        return None
    return Package(fields["Package"], fields["Version"], fields["Architecture"])


def _fields(stanza: str) -> Iterator[tuple[str, str]]:
    for line in stanza.splitlines():
        if not line.startswith((" ", "\t")):
            name, _, value = line.partition(":")
            yield name, value.strip()
