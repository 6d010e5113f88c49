"""What the journal says of patches, and what a lock lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bluestone.app.patch import patch as patching
from bluestone.app.patch.outlook import BEGAN, CLOSED, REOPENED, STOPPED, Patch, open_patch
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.model.bom import Bom, Component
from bluestone.model.exposure import FeedState
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.lock import Lock, LockedPackage
from bluestone.model.plan import Goal
from bluestone.patch.loop import Fix, open_in

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD, NEW = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)
FIX = Fix("deb", "openssl", ("openssl",), ("3.5.1-1",), "3.5.1-1+deb13u2", ("CVE-2026-1",), (OLD,), NOW, NOW)
KERNEL = Fix("deb", "linux", ("linux-signed-amd64",), ("6.12.1-1",), "6.12.117-1", ("CVE-2026-2",), (OLD,))
PATCH = Patch("p1", NOW, "jane", ("web",), None, (FIX,), (FeedState("archive", "archive", "0" * 64, NOW),), (OLD,))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "h"))
    (tmp_path / "bluestone.toml").write_text('project = "shop"\n[image]\nbase = "debian:trixie"\n')
    return Project.open(tmp_path / "bluestone.toml")


def record(project: Project, kind: str, **data: object) -> None:
    project.journal.record(NOW, [Entry(kind, message=f"the {kind}", data=dict(data))])


def begin(project: Project, patch: Patch = PATCH) -> None:
    record(project, BEGAN, **msgspec.to_builtins(patch, builtin_types=()))


def test_a_patch_is_what_the_journal_says(project: Project) -> None:
    assert open_patch(project) is None
    begin(project)
    assert open_patch(project) == PATCH, "to the last of its parts"
    record(project, "patch.compared", image=NEW)
    found = open_patch(project)
    assert found is not None
    assert (found.image, found.fixes) == (NEW, (FIX,))
    begin(project)
    again = open_patch(project)
    assert again is not None
    assert again.image is None, "what was begun anew is to be compared anew"
    record(project, STOPPED)
    assert open_patch(project) is None


def test_what_was_stopped_is_not_tried_again_by_itself(project: Project) -> None:
    begin(project)
    assert patching._held_back(project, (FIX,)) == ""
    record(project, STOPPED)
    assert "the patch.stopped" in patching._held_back(project, (FIX,))
    assert patching._held_back(project, (FIX, KERNEL)) == "", "another fix is another patch"


def test_a_rollback_to_what_was_replaced_opens_it_again_and_the_daemon_keeps_off(project: Project) -> None:
    heard: list[str] = []

    def goal(image: Digest) -> Goal:
        return Goal(Group("web"), Generation("web", 1, image, ServerConfig("podman")))

    def reopen(image: Digest) -> None:
        patching.reopen(project, [goal(image)], lambda _, entry: heard.append(entry.kind))

    reopen(OLD)
    begin(project)
    record(project, CLOSED, patch="p1", before=[OLD])
    reopen(NEW)
    assert heard == []
    reopen(OLD)
    assert heard == [REOPENED]
    assert "bluestone patch" in patching._held_back(project, (FIX,))
    begin(project)
    assert patching._held_back(project, (FIX,)) == "", "a person went on"
    record(project, STOPPED, patch="p2")
    reopen(OLD)
    assert heard == [REOPENED, REOPENED], "whatever was begun and stopped since"


def locked(source: str, version: str) -> LockedPackage:
    return LockedPackage("x", version, "amd64", "0" * 64, 1, "x.deb", "main", "trixie", source, version)


def test_what_a_lock_lacks_is_told_by_the_sources_that_advisories_name() -> None:
    def lacking(*packages: LockedPackage) -> tuple[Fix, ...]:
        return patching._lacking((FIX, KERNEL), Lock("debian:trixie", "amd64", 0, (), (), packages))

    assert lacking() == (), "what is not there is not lacking"
    assert lacking(locked("openssl", "3.5.1-1"), locked("linux-signed-amd64", "6.12.117+1")) == (FIX,)
    assert lacking(locked("openssl", "3.5.2-1"), locked("linux-signed-amd64", "6.12.90+1")) == (KERNEL,)


def test_an_image_is_exposed_as_long_as_its_bill_has_an_older_version() -> None:
    def bill(source: str, version: str) -> Bom:
        component = Component("deb", "x", version, "p", "/x", "dpkg", source=source, source_version=version)
        return Bom(OLD, "debian", "13", (component,), (), ())

    assert open_in(FIX, bill("openssl", "3.5.1-1"))
    assert not open_in(FIX, bill("openssl", "3.5.1-1+deb13u2"))
    assert not open_in(FIX, bill("zlib", "1"))
    assert open_in(KERNEL, bill("linux-signed-amd64", "6.12.90+1"))
    assert not open_in(KERNEL, bill("linux-signed-amd64", "6.12.117+1"))
    assert open_in(FIX, bill("openssl", "a b")), "what cannot be compared counts as older"
