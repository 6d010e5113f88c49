"""What an image holds, exactly: its software bill of materials (SBOM)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from bluestone.model.ids import Digest

Ecosystem = Literal["deb", "pypi", "npm", "golang", "cargo", "maven"]
"""Where a component comes from, in the words of package URLs."""


class Component(Struct, frozen=True):
    """A piece of software in an image.

    `path` is the file that tells of it, beginning with `/`; a `!` leads into an archive (`/srv/app.ear!lib.war!x.jar`).
    `evidence` says what that file is, `confidence` (0 to 1) how sure it makes us. `owner` is the dpkg package that
    brought the file, if one did. `declared` is what a lock file names: it need not be there.

    Of Debian packages alone: `architecture`, the source package and its version, and the sources of which parts are
    built in (`Built-Using` and `Static-Built-Using`: `name (= version)`).
    """

    ecosystem: Ecosystem
    name: str
    version: str
    purl: str
    path: str
    evidence: str
    confidence: float = 1.0
    owner: str = ""
    licences: tuple[str, ...] = ()
    declared: bool = False
    architecture: str = ""
    source: str = ""
    source_version: str = ""
    built_using: tuple[str, ...] = ()


class LooseFile(Struct, frozen=True):
    """A file that no package owns: its path, its SHA-256 in hexadecimal, its size in bytes."""

    path: str
    sha256: str
    size: int


class Unidentified(Struct, frozen=True):
    """A file that looks like software of an ecosystem, and of which it could not be told what it is: `reason` why."""

    path: str
    reason: str
    owner: str = ""


class Bom(Struct, frozen=True):
    """All that is in an image, in an order of its own: the same image has the same bill.

    `distribution` and `release` as os-release(5) has them: `debian`, `13`.
    """

    image: Digest
    distribution: str
    release: str
    components: tuple[Component, ...]
    files: tuple[LooseFile, ...]
    unidentified: tuple[Unidentified, ...]
