"""An image that is known by its bill, archives and feeds that a test serves, and what goes wrong with them."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from msgspec.structs import replace

import fake_archive
from bluestone.app.patch import exposures
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.host.paths import Home
from bluestone.image.sbom import cyclonedx
from bluestone.image.sbom.bills import CYCLONEDX, SPDX
from bluestone.image.store import Facts, ImageStore
from bluestone.model.bom import Bom, Component
from bluestone.model.declaration import Declaration
from bluestone.model.exposure import Assessment
from bluestone.model.feed import FeedPolicy, FeedSource, Kind
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.patching import PatchPolicy
from bluestone.model.recipe import Base, Recipe
from fake_archive import SUITE, Archives, Deb

IMAGE = Digest("sha256:" + "7" * 64)
MADE = datetime(2026, 11, 20, 8, tzinfo=UTC)
LOG = """\
zlib (1.3-2) trixie-security; urgency=high

  * Mend CVE-2026-12345.

 -- Someone <someone@example.org>  Fri, 20 Nov 2026 08:00:00 +0000
"""
OLD = Deb("zlib1g", "1.3-1", source="zlib")
NEW = Deb("zlib1g", "1.3-2", source="zlib", changelog=LOG)
PROGRAM = Deb("hello", "1.0")


def deb(name: str, version: str, source: str) -> Component:
    purl = f"pkg:deb/debian/{name}@{version}?arch=amd64&distro=debian-13"
    own = Component("deb", name, version, purl, "/var/lib/dpkg/status", "dpkg's database", architecture="amd64")
    return replace(own, source=source, source_version=version)


DEBS = (deb("zlib1g", "1.3-1", "zlib"), deb("hello", "1.0", "hello"))
JINJA = Component("pypi", "jinja2", "3.1.5", "pkg:pypi/jinja2@3.1.5", "/srv/app/jinja2/METADATA", "metadata")


class World:
    """Archives, a place for feeds, and an image that is known by its bill."""

    def __init__(self, directory: Path, archives: Archives) -> None:
        self.archives, self.directory = archives, directory
        self.home = Home(directory / "home", directory / "run")
        self.store = ImageStore(self.home.images)
        self.policy, self.patch = FeedPolicy(), PatchPolicy()
        self.served = archives.directory / "feeds"
        self.served.mkdir(parents=True)

    def hold(self, *components: Component) -> None:
        if IMAGE not in self.store.digests():
            with self.store.workplace() as work:
                (work / "root").mkdir()
                (work / "manifest").write_text("")
                self.store.add(work, Facts(IMAGE, IMAGE, 1, 1, (), (), MADE))
        place = self.store.get(IMAGE).root.parent
        (place / CYCLONEDX).write_bytes(cyclonedx.write(Bom(IMAGE, "debian", "13", components, (), ())))
        (place / SPDX).write_bytes(b"{}")

    def feed(self, kind: Kind, content: bytes | None, later: int = 0) -> None:
        """Have a feed served, as one that was made so many seconds later than now; None: it is not there."""
        path = self.served / kind
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
            made = datetime.now(UTC).timestamp() + later
            os.utime(path, (made, made))
        source = FeedSource(kind, f"{self.archives.address}/feeds/{kind}")
        others = tuple(each for each in self.policy.sources if each.kind != kind)
        self.policy = replace(self.policy, sources=(*others, source))

    def start(self, group: str, name: str) -> None:
        """A server of a group that runs the image, by the journal."""
        journal = self.project.journal
        number = journal.generation(group, IMAGE, ServerConfig("podman"), keep=True).number
        journal.record(MADE, [Entry("server.create", group, name, data={"generation": number, "image": IMAGE})])
        journal.record(MADE, [Entry("server.created", group, name, data={"verb": "create"})])

    @property
    def project(self) -> Project:
        recipe = Recipe(Base("debian", SUITE))
        patch = replace(self.patch, feeds=self.policy)
        declaration = Declaration("shop", recipe, (Group("web"), Group("api")), patch=patch)
        return Project(declaration, self.home, self.directory / "bluestone.toml")

    def assess(self, *, after: timedelta = timedelta(0), ask: bool = True) -> Assessment:
        """As things are after a time, of which the archive knows nothing."""
        now = datetime.now(UTC) + after
        return exposures.board(self.project, lambda _: None, image=IMAGE, ask=ask, now=now).assessment


def sign_by_another(world: World) -> None:
    with fake_archive.key() as other:
        world.archives.publish("debian-security", f"{SUITE}-security", (NEW,), key=other)


def expire(world: World) -> None:
    old = datetime.now(UTC) - timedelta(days=20)
    world.archives.publish("debian-security", f"{SUITE}-security", (), date=old)


def come_from_the_future(world: World) -> None:
    world.archives.publish("debian-security", f"{SUITE}-security", (), date=datetime.now(UTC) + timedelta(days=3))


def cut_the_index(world: World) -> None:
    world.archives.publish("debian-security", f"{SUITE}-security", (NEW,))
    for file in (world.archives.directory / "debian-security").rglob("Packages*"):
        file.write_bytes(file.read_bytes()[:-5])


def have_no_security_suite(world: World) -> None:
    for file in (world.archives.directory / "debian-security").rglob("*Release"):
        file.unlink()


def be_emptied(world: World) -> None:
    world.archives.publish("debian", SUITE, ())


def zipped(*records: dict[str, object]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return out.getvalue()


def record(number: int, ecosystem: str = "PyPI", name: str = "jinja2") -> dict[str, object]:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.6"}]}]
    affected = [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}]
    return {"id": f"PYSEC-{number}", "aliases": [f"CVE-2026-{number}"], "modified": now, "affected": affected}


WHOLE = [record(1000), *(record(number, name=f"other{number}") for number in range(2000, 2010))]

FEED_FAULTS: dict[str, bytes | None] = {
    "cut": zipped(*WHOLE)[:-30],
    "empty": b"",
    "no records": zipped(),
    "another ecosystem": zipped(*(record(number, "npm") for number in range(20))),
    "a page of words": b"<html>down for maintenance</html>",
    "half": zipped(*WHOLE[:4]),
    "a damaged record": zipped(*WHOLE, {"id": "X", "affected": "nonsense"}),
    "dated ahead": zipped(*WHOLE, record(9) | {"modified": "2099-01-01T00:00:00Z"}),
    "not there": None,
}
"""What a server of a feed may answer with; None: nothing."""

ARCHIVE_FAULTS: tuple[tuple[Callable[[World], None], str], ...] = (
    (sign_by_another, "sign"),
    (expire, "expired"),
    (come_from_the_future, "future"),
    (cut_the_index, "not consistent"),
    (have_no_security_suite, "no longer has a Release file"),
    (be_emptied, "is empty"),
)
"""What may be wrong with an archive, and a word of what is said of it."""


@contextmanager
def world(directory: Path, key: fake_archive.Key) -> Iterator[World]:
    """A world whose image has nothing to be mended, and whose archives real apt asks."""
    with fake_archive.archives(directory / "served", key) as archives:
        made = World(directory, archives)
        archives.publish("debian", SUITE, (OLD, PROGRAM))
        archives.publish("debian-security", f"{SUITE}-security", ())
        made.hold(*DEBS)
        with patch("bluestone.image.archive.of_recipe", lambda recipe: archives.base()):
            yield made
