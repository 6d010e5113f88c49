"""What an image is exposed to, by archives of our own that real apt asks; and faults planted in each feed."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import fake_archive
from bluestone.app import exposures, feeds
from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.image.sbom import cyclonedx
from bluestone.image.sbom.bills import CYCLONEDX, SPDX
from bluestone.image.store import Facts, ImageStore
from bluestone.model.bom import Bom, Component
from bluestone.model.declaration import Declaration
from bluestone.model.exposure import Assessment, Exposure, Verdict
from bluestone.model.feed import FeedPolicy, FeedSource, Kind
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.patching import PatchPolicy
from bluestone.model.recipe import Base, Recipe
from fake_archive import SUITE, Archives, Deb

pytestmark = pytest.mark.e2e

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
        self.policy = FeedPolicy()
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

    def feed(self, kind: Kind, content: bytes) -> None:
        (self.served / kind).write_bytes(content)
        source = FeedSource(kind, f"{self.archives.address}/feeds/{kind}")
        others = tuple(each for each in self.policy.sources if each.kind != kind)
        self.policy = replace(self.policy, sources=(*others, source))

    @property
    def project(self) -> Project:
        recipe = Recipe(Base("debian", SUITE))
        declaration = Declaration("shop", recipe, (Group("web"),), patch=PatchPolicy(feeds=self.policy))
        return Project(declaration, self.home, self.directory / "bluestone.toml")

    def assess(self, *, after: timedelta = timedelta(0), ask: bool = True) -> Assessment:
        """As things are after a time, of which the archive knows nothing."""
        now = datetime.now(UTC) + after
        return exposures.assess(self.project, lambda _: None, image=IMAGE, ask=ask, now=now)


@pytest.fixture(scope="module")
def key() -> Iterator[fake_archive.Key]:
    with fake_archive.key() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, key: fake_archive.Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with fake_archive.archives(tmp_path / "served", key) as archives:
        made = World(tmp_path, archives)
        archives.publish("debian", SUITE, (OLD, PROGRAM))
        archives.publish("debian-security", f"{SUITE}-security", ())
        monkeypatch.setattr("bluestone.image.archive.of_recipe", lambda recipe: archives.base())
        made.hold(*DEBS)
        yield made


def verdicts(found: Assessment) -> list[tuple[str, Verdict]]:
    return [(each.component.name, each.verdict) for each in found.exposures]


def only(found: Assessment) -> Exposure:
    (each,) = found.exposures
    return each


def test_what_the_security_suite_has_newer_is_a_pending_fix(world: World) -> None:
    assert world.assess().outcome == "clean"
    world.archives.publish("debian-security", f"{SUITE}-security", (NEW,))
    later = world.assess(after=timedelta(hours=1))
    each = only(later)
    assert later.outcome == "affected"
    assert (each.verdict, each.fixed, each.advisory.cves) == (Verdict.AFFECTED_WITH_FIX, "1.3-2", ("CVE-2026-12345",))
    assert each.since == MADE
    assert [state.verified for state in later.feeds] == ["the archives' signatures"]
    # Nobody is asked again so soon, and nothing is forgotten.
    world.archives.publish("debian-security", f"{SUITE}-security", ())
    assert world.assess(after=timedelta(hours=1, minutes=5)).exposures == later.exposures


def test_a_point_release_is_a_fix_if_its_changelog_names_what_it_mends(world: World) -> None:
    log = LOG.replace("zlib (1.3-2)", "hello (1.1)").replace("CVE-2026-", "")
    noted = replace(PROGRAM, version="1.1", changelog=log)
    world.archives.publish("debian", SUITE, (NEW, noted))
    assert verdicts(world.assess()) == [("zlib1g", Verdict.AFFECTED_WITH_FIX)]
    world.archives.publish("debian", SUITE, (OLD, replace(noted, version="1.2", changelog="")))
    found = world.assess(after=timedelta(hours=1))
    assert verdicts(found) == [("hello", Verdict.UNKNOWN)] and found.outcome == "unknown"


def test_that_the_archive_is_away_is_no_fault_before_its_word_is_old(world: World) -> None:
    assert world.assess().outcome == "clean"
    world.archives.stop()
    assert world.assess(after=timedelta(hours=1)).outcome == "clean"
    found = world.assess(after=timedelta(hours=25), ask=False)
    assert found.outcome == "unknown"
    assert "25 h ago" in found.unknown[0].why and "cannot be reached" in found.unknown[0].why


def test_an_image_that_seems_to_hold_nothing_is_not_clean(world: World) -> None:
    world.hold()
    found = world.assess()
    assert found.outcome == "unknown" and "names nothing" in found.gaps[0]


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


def test_each_fault_of_the_archive_makes_its_packages_unknown(world: World) -> None:
    assert world.assess().outcome == "clean"
    faults: list[tuple[Callable[[World], None], str]] = [
        (sign_by_another, "sign"),
        (expire, "expired"),
        (come_from_the_future, "future"),
        (cut_the_index, "not consistent"),
        (have_no_security_suite, "no longer has a Release file"),
        (be_emptied, "shrank from 2 entries to 0"),
    ]
    for hour, (fault, said) in enumerate(faults, 1):
        fault(world)
        found = world.assess(after=timedelta(hours=hour))
        assert found.outcome == "unknown", fault
        assert [(each.realm, each.components) for each in found.unknown] == [("deb:trixie", 2)]
        assert said in found.unknown[0].why, found.unknown
        world.archives.publish("debian-security", f"{SUITE}-security", ())
    world.archives.publish("debian", SUITE, (OLD, PROGRAM))
    assert world.assess(after=timedelta(hours=8)).outcome == "clean"


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


def test_a_language_is_unknown_until_a_feed_tells_of_it(world: World) -> None:
    world.hold(*DEBS, JINJA)
    found = world.assess()
    assert found.outcome == "unknown"
    assert [(each.realm, each.why) for each in found.unknown] == [("pypi", "no feed covers pypi")]
    world.feed("pypi", zipped(*WHOLE))
    day = f"#score_date:{datetime.now(UTC):%Y-%m-%d}T00:00:00+0000"
    world.feed("epss", gzip.compress(f"{day}\ncve,epss,percentile\nCVE-2026-1000,0.5,0.9\n".encode()))
    each = only(world.assess(after=timedelta(hours=1)))
    assert (each.fixed, each.advisory.epss, each.verdict) == ("3.1.6", 0.5, Verdict.AFFECTED_WITH_FIX)


FAULTS: dict[str, bytes | None] = {
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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_feed_makes_its_ecosystem_unknown(world: World, fault: str) -> None:
    world.policy = replace(world.policy, archive=False)
    world.hold(JINJA)
    world.feed("pypi", zipped(*WHOLE))
    assert world.assess().outcome == "affected"
    content = FAULTS[fault]
    if content is None:
        (world.served / "pypi").unlink()
    else:
        world.feed("pypi", content)
        os.utime(world.served / "pypi", (0, datetime.now(UTC).timestamp() + 5))
    found = world.assess(after=timedelta(hours=1))
    assert [(each.realm, each.components) for each in found.unknown] == [("pypi", 1)], fault
    if fault not in ("dated ahead", "half", "not there"):
        assert found.outcome == "unknown"


def test_a_feed_that_nobody_refreshes_gets_stale_and_one_that_did_not_change_does_not(world: World) -> None:
    world.policy = replace(world.policy, archive=False)
    world.hold(replace(JINJA, version="3.1.6"))
    world.feed("pypi", zipped(*WHOLE))
    assert world.assess().outcome == "clean"
    assert world.assess(after=timedelta(hours=30)).outcome == "clean"  # It was asked, and answered 304.
    world.policy = replace(world.policy, sources=(FeedSource("pypi", world.policy.sources[0].place),))
    later = datetime.now(UTC) + timedelta(hours=60)
    assert not feeds.load(world.project, (), later).states[0].complete
    assert not feeds.load(world.project, (), datetime.now(UTC) - timedelta(hours=10)).states[0].complete
