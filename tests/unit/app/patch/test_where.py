"""`where`, by the bills of real trees and a journal in a real file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.app.patch.where import FILE, where
from bluestone.app.project import Project
from bluestone.cli import main as cli
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.host.paths import Home
from bluestone.image.sbom.bills import CYCLONEDX
from bluestone.image.sbom.scan import scan
from bluestone.image.store import Facts, ImageStore
from bluestone.image.tree import digest, manifest
from bluestone.model.declaration import Declaration
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Group
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe
from bluestone.patch.inventory.answer import Answer
from jar_corpus import jar, pom
from sbom_tree import plant, put

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
STRUTS = "maven:org.apache.struts/struts2-core <2.3.32"


def hours(count: float) -> datetime:
    return START + timedelta(hours=count)


class World:
    """A store with images of real trees, and a project whose journal speaks of them."""

    def __init__(self, directory: Path) -> None:
        home = Home(directory, directory / "run")
        self.project = Project(Declaration("shop", Recipe(Base("debian", "trixie")), (Group("web"),)), home)
        self.store = ImageStore(home.images)
        self.journal = self.project.journal
        self.count = 0

    def image(self, fill: Callable[[Path], None]) -> str:
        with self.store.workplace() as work:
            (work / "root").mkdir()
            fill(work / "root")
            text = manifest(work / "root")
            (work / "manifest").write_text(text)
            scan(work, text)
            self.store.add(work, Facts(digest(text), digest(text), 1, 1, (), (), START))
        return digest(text)

    def start(self, image: str, began: datetime, ended: datetime | None = None, outcome: str = "server.created") -> str:
        self.count += 1
        number = self.journal.generation("web", image, ServerConfig("podman"), keep=True).number
        name = f"web-0-{image[7:15]}-{self.count}"
        # Of the first ones the journal tells the generation alone.
        told = {"image": image} if self.count % 2 else {}
        self.journal.record(began, [Entry("server.create", "web", name, data={"generation": number, **told})])
        self.journal.record(began + timedelta(seconds=1), [Entry(outcome, "web", name, data={"verb": "create"})])
        if ended:
            self.journal.record(ended, [Entry("server.destroyed", "web", name, data={"verb": "destroy"})])
        return name

    def where(self, query: str, *, at: str | None = None, ever: bool = False) -> Answer:
        return where(self.project, query, at=at, ever=ever, progress=lambda text: None)


def portal(version: str) -> Callable[[Path], None]:
    """A web application with Struts in a war in an ear, and nothing else in it."""
    core = jar(pom("org.apache.struts", "struts2-core", version))
    war = jar({f"WEB-INF/lib/struts2-core-{version}.jar": core} | pom("shop", "portal", "1"))
    return lambda root: put(root, "srv/shop.ear", jar({"portal.war": war} | pom("shop", "shop", "1")))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def names(answer: Answer) -> list[str]:
    return [life.server for life in answer.servers]


def test_who_runs_it_now_ran_it_then_and_ever_did(world: World) -> None:
    old, new = world.image(portal("2.3.31")), world.image(portal("2.3.32"))
    gone = world.start(old, hours(0), hours(2))
    left = world.start(old, hours(1))
    world.start(new, hours(2))
    now = world.where(STRUTS)
    assert (names(now), now.verdict) == ([left], "found")
    (finding,) = now.findings
    assert finding.path == "/srv/shop.ear!portal.war!WEB-INF/lib/struts2-core-2.3.31.jar"
    assert (finding.images, finding.version, finding.because) == ((old,), "2.3.31", "name")
    assert now.servers[0].began == hours(1)
    assert names(world.where(STRUTS, ever=True)) == [gone, left]
    assert names(world.where(STRUTS, at="2026-11-01T08:30+00:00")) == [gone]
    assert names(world.where(STRUTS, at="2026-11-01T10:00+00:00")) == [left], "it was gone at that very moment"
    assert names(world.where(STRUTS, at="2026-11-01T07:59+00:00")) == []
    world.journal.record(hours(3), [Entry("server.destroyed", "web", left, data={"verb": "destroy"})])
    after = world.where(STRUTS)
    assert (after.servers, after.unused) == ((), (old,)), "what happened since is read as well"


def test_an_artifact_without_a_group_may_be_the_one(world: World) -> None:
    """Struts known by its file's name alone is what a search for Struts must not miss."""
    image = world.image(lambda root: put(root, "srv/struts2-core-2.3.5.jar", jar({"x.class": b""})))
    world.start(image, START)
    (finding,) = world.where(STRUTS).findings
    assert (finding.because, finding.confidence) == ("artifact", 0.6)
    assert world.where("maven:struts2-core =2.3.5").verdict == "found"
    assert world.where("maven:org.apache.struts/struts2-core >=2.3.32").verdict == "nowhere"


def test_names_globs_urls_and_sources(world: World) -> None:
    world.start(world.image(plant), START)

    def found(query: str) -> set[tuple[str, str, str]]:
        return {(each.ecosystem, each.name, each.because) for each in world.where(query).findings}

    assert found("app-source") == {("deb", "app", "source")}
    assert found("source:app") == set()
    assert found("deb:app =1:1.0-2+b1") == {("deb", "app", "name")}, "the binary's own version"
    assert found("deb:app-source =1:1.0-2") == {("deb", "app", "source")}, "the source's"
    assert found("golang-1.24 <1.24.4-2") == {("deb", "app", "built using")}
    assert found("golang-1.24 <1.24.4-1") == set()
    assert (
        found("my_pkg") == found("pypi:My.Pkg >=2, <3") == found("pkg:pypi/my-pkg@2.0") == {("pypi", "My_Pkg", "name")}
    )
    assert found("npm:@scope/*") == found("pkg:npm/%40scope/app@1.0.0") == {("npm", "@scope/app", "name")}
    assert found("pkg:npm/@scope/app@1.0.1") == set()
    assert found("org.ow2.asm:asm <10") == {("maven", "org.ow2.asm:asm", "name")}
    assert found("pkg:maven/org.x/app@1.0?type=jar") == {("maven", "org.x:app", "name")}
    assert found("pkg:deb/debian/bash") == {("deb", "bash", "name")}
    owned = [each.owner for each in world.where("maven:org.x/app").findings]
    assert owned == ["app"]


def test_what_cannot_be_told_is_not_nowhere(world: World) -> None:
    world.start(world.image(plant), START)
    assert world.where("deb:nothing").verdict == "nowhere", "no file hides a package of Debian"
    answer = world.where("maven:a/b")
    assert answer.verdict == "unknown"
    (silent,) = answer.silent
    assert (silent.why, silent.files, silent.detail) == ("unidentified", 1, "/srv/shop.war!WEB-INF/lib/bad.jar")
    (silent,) = world.where("golang:example.org/app <v2.0.0").silent[:1]
    assert (silent.why, silent.detail.split(" at ")[0]) == ("incomparable", "example.org/app (devel)")
    world.start("sha256:" + "e" * 64, START)
    assert [each.why for each in world.where("deb:nothing").silent] == ["unread"]


def test_what_was_in_an_image_that_is_gone_stays_known(world: World) -> None:
    image = world.image(portal("2.3.31"))
    server = world.start(image, START)
    assert names(world.where(STRUTS)) == [server]
    world.store.remove(image)
    assert names(world.where(STRUTS)) == [server]
    (world.store.directory / FILE).unlink()
    assert world.where(STRUTS).verdict == "unknown", "nobody can tell any more"


def test_creations_that_failed(world: World) -> None:
    image = world.image(portal("2.3.31"))
    world.start(image, hours(0), outcome="action.refused")
    lost = world.start(image, hours(1), outcome="action.failed")
    assert names(world.where(STRUTS)) == []
    world.journal.record(hours(2), [Entry("server.enrolled", "web", lost, data={"verb": "enrol"})])
    assert names(world.where(STRUTS)) == [lost], "it was there all the same"


def test_another_journal_a_damaged_index_and_a_new_bill(world: World, tmp_path: Path) -> None:
    image = world.image(portal("2.3.31"))
    world.start(image, hours(0))
    assert len(world.where(STRUTS).servers) == 1
    world.journal.close()
    for file in world.project.state.glob("journal.db*"):
        file.unlink()
    world.project.__dict__["journal"] = world.journal = SqliteJournal(world.project.state / "journal.db")
    assert names(world.where(STRUTS)) == [], "of servers that the new journal does not know"
    server = world.start(image, hours(1))
    index = world.store.directory / FILE
    index.write_bytes(b"no database, but as long as one" * 200)
    assert names(world.where(STRUTS)) == [server]
    with sqlite3.connect(index) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    assert names(world.where(STRUTS)) == [server]
    bill = world.store.root(image).parent / CYCLONEDX
    bill.write_bytes(bill.read_bytes().replace(b"2.3.31", b"2.3.99"))
    assert names(world.where(STRUTS)) == []

    def another(root: Path) -> None:
        portal("2.3.99")(root)
        put(root, "srv/x", b"x")

    twin = world.image(another)
    world.start(twin, hours(2))
    (finding,) = world.where("struts2-core").findings
    assert set(finding.images) == {image, twin}
    bill.write_bytes(bill.read_bytes().replace(b"2.3.99", b"2.3.31"))
    (finding,) = world.where(STRUTS).findings
    assert finding.images == (image,), "and the twin keeps what it has"
    (finding,) = world.where("maven:org.apache.struts/struts2-core =2.3.99").findings
    assert finding.images == (twin,)
    bill.write_bytes(b"{")
    assert "is damaged" in world.where(STRUTS).gaps[0]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "<1",
        "nuget:x",
        "deb:",
        "a 1.0",
        "a <",
        "pkg:x",
        "pkg:nuget/x",
        "npm:a <1",
        "deb:a <b c",
        "pkg:npm/a@x",
        "x" * 2000,
    ],
)
def test_queries_that_are_none(world: World, query: str) -> None:
    with pytest.raises(Problem) as caught:
        world.where(query)
    assert caught.value.mend


def test_before_anything_was_built_it_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "new"))
    file = tmp_path / "bluestone.toml"
    file.write_text('project = "shop"\n[image]\nbase = "debian:trixie"\n[servers.web]\ncount = 1\n')
    monkeypatch.setattr("sys.argv", ["bluestone", "where", STRUTS, "-f", str(file)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, capsys.readouterr().out) == (0, "no servers run it\n")


def test_the_verb_says_it_in_text_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)
    image = world.image(portal("2.3.31"))
    world.start(image, START, hours(1))
    name = world.start(image, START)
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path))
    file = tmp_path / "bluestone.toml"
    file.write_text('project = "shop"\n[image]\nbase = "debian:trixie"\n[servers.web]\ncount = 1\n')

    def run(*arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr("sys.argv", ["bluestone", "where", *arguments, "-f", str(file)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, capsys.readouterr().out

    status, text = run(STRUTS)
    assert status == 2
    assert f"{name}  shop     web    2026-11-01 08:00:00  -" in text
    assert "struts2-core 2.3.31  /srv/shop.ear!portal.war!WEB-INF/lib/struts2-core-2.3.31.jar" in text
    assert text.endswith("1 server runs it\n")
    status, text = run(STRUTS, "--ever", "--json")
    assert (status, len(json.loads(text)["servers"])) == (2, 2)
    status, text = run("deb:nothing")
    assert (status, text) == (0, "no servers run it\n")
