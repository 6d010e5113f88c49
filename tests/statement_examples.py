"""A build, and what a statement on it is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from bluestone.image.lock.file import digest
from bluestone.image.provenance import Build, parameters
from bluestone.model.lock import Lock, LockedPackage, Release
from bluestone.model.recipe import Archive, Base, LocalPackage, OverlayFile, Recipe, Waiver

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
IMAGE = "sha256:" + "ab" * 32
RECIPE = Recipe(
    Base("debian", "trixie", "https://mirror.example.org/debian"),
    packages=("nginx",),
    archives=(Archive("tools", "https://example.org/apt", "stable", ("main",), Path("/home/me/keys/tools.asc")),),
    debs=(LocalPackage("in/app.deb", Path("/home/me/in/app.deb")),),
    files=(
        OverlayFile("/srv/site", source=Path("/home/me/site"), owner="www-data"),
        OverlayFile("/etc/motd", content="of the owner\n", mode=0o640),
    ),
    run=("true",),
    waivers=(Waiver("setuid", "/opt/x", "why"),),
)
PACKAGE = LockedPackage(
    "nginx", "1:1.26-3+b1", "amd64", "01" * 32, 5, "pool/n.deb", "main", "trixie", "nginx-s", "1.26-3"
)
LOCK = Lock(
    base="debian:trixie",
    architecture="amd64",
    date=1,
    asked=("nginx",),
    releases=(Release("main", "trixie", "trixie", NOW, None, "02" * 32),),
    packages=(PACKAGE,),
    inputs={'image.files."/srv/site"': "03" * 32},
    tools={"puppet": (replace(PACKAGE, name="ruby", sha256="04" * 32),)},
)
BUILD = Build("k", parameters(RECIPE), digest(LOCK), "mmdebstrap", "1.3", "0.1", "urn:uuid:1", NOW, NOW)
BILLS = {"sbom.cdx.json": "05" * 32}
