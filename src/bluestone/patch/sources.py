"""What a Debian package was built from: names and versions by which its makers speak of what is wrong in it. Pure."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from bluestone.model.bom import Component

_SIGNED = re.compile(r"linux-signed(-\d+\.\d+)?-[a-z0-9]+")
_USED = re.compile(r"(\S+) \(= (\S+)\)")


class Origin(NamedTuple):
    """A source package: `how` it went into a binary package."""

    name: str
    version: str
    how: Literal["source", "signed", "built using"]


def origins(component: Component) -> tuple[Origin, ...]:
    """All source packages that are in a component; none but for Debian packages.

    A signed kernel is built from one of its own, `linux-signed-amd64 6.12.117+1`, and is `linux 6.12.117-1`; that of
    a later release is `linux-signed-6.12-amd64`, and `linux-6.12`.
    """
    if component.ecosystem != "deb":
        return ()
    name, version = component.source, component.source_version
    found = [Origin(name, version, "source")]
    if signed := _SIGNED.fullmatch(name):
        # The dash before the revision became a plus; what follows may have one of its own (`6.12.12+1~bpo12+1`).
        found.append(Origin(f"linux{signed[1] or ''}", version.replace("+", "-", 1), "signed"))
    matches = map(_USED.fullmatch, component.built_using)
    return (*found, *(Origin(match[1], match[2], "built using") for match in matches if match))
