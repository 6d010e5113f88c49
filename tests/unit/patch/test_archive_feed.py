"""The archive as a feed: what is pending, and what its changelogs say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bluestone.model.advisory import Range
from bluestone.model.lock import Release
from bluestone.patch.changelog import Entry, entries
from bluestone.patch.feeds.archive import Snapshot, read, renewed, unread

NOW = datetime(2026, 11, 30, tzinfo=UTC)
MADE = datetime(2026, 11, 1, 5, 57, 53, tzinfo=UTC)
RELEASES = (Release("security", "trixie-security", "trixie-security", NOW, None, "ab"),)

CHANGELOG = """\
zlib (1:1.3-1+deb13u2) trixie; urgency=medium

  * Fix a thing (CVE-2026-85091, CVE-2026-27171).
    Also cve-2026-0001.

 -- Someone <someone@example.org>  Sun, 01 Nov 2026 06:57:53 +0100

zlib (1:1.3-1+deb13u1) trixie; urgency=medium

  * Rebuild.

 -- Someone <someone@example.org>  Sat, 31 Oct 2026 06:57:53 +0100

zlib (1:1.3-1) unstable; urgency=low, binary-only=yes

  * New upstream release. CVE-2023-45853

 -- Someone <someone@example.org>  no date at all
garbage ( that is no head
"""


def test_a_changelog() -> None:
    assert entries(CHANGELOG) == [
        Entry("1:1.3-1+deb13u2", ("CVE-2026-0001", "CVE-2026-27171", "CVE-2026-85091"), MADE),
        Entry("1:1.3-1+deb13u1", (), datetime(2026, 10, 31, 5, 57, 53, tzinfo=UTC)),
        Entry("1:1.3-1", ("CVE-2023-45853",), None),
    ]
    assert entries("") == entries("nothing of it") == []


def snapshot(**newest: dict[str, str]) -> Snapshot:
    return Snapshot("trixie", RELEASES, {name.replace("_", "-"): offers for name, offers in newest.items()}, {}, {})


def test_each_entry_that_names_cves_is_a_fix_since_it_was_made() -> None:
    said = snapshot(zlib={"main": "1:1.3-1+deb13u2"})
    said.logs["zlib 1:1.3-1+deb13u2"] = tuple(entries(CHANGELOG))
    found = read(said, {"zlib"})
    assert found.covers == ("deb:trixie",)
    assert [each.id for each in found.advisories] == ["zlib 1:1.3-1+deb13u2", "zlib 1:1.3-1"]
    newest = found.advisories[0]
    assert newest.cves == ("CVE-2026-0001", "CVE-2026-27171", "CVE-2026-85091") and newest.pending
    (affected,) = newest.affected
    assert (affected.release, affected.ranges, affected.fix_since) == (
        "trixie",
        (Range(fixed="1:1.3-1+deb13u2"),),
        MADE,
    )


def test_what_comes_by_the_security_suite_is_a_fix_whatever_it_says() -> None:
    said = snapshot(a={"main": "1", "security": "2"}, b={"main": "3", "security": "2"})
    said.logs |= {"a 2": (Entry("2", (), MADE),), "b 3": (Entry("3", (), NOW), Entry("2", (), MADE))}
    found = {each.id: each.affected[0] for each in read(said, {"a", "b"}).advisories}
    assert found.keys() == {"a 2", "b 2"}
    assert all(each.fix_since == MADE and not each.undecided for each in found.values())


def test_a_newer_version_whose_changelog_cannot_be_read_is_undecided_unless_it_is_a_security_fix() -> None:
    said = snapshot(a={"main": "2"}, b={"security": "2"})
    said.logs["a 2"] = None
    found = {each.id: each.affected[0] for each in read(said, {"a", "b"}).advisories}
    assert "its changelog could not be read" in found["a 2"].undecided
    assert not found["b 2"].undecided


def test_a_package_that_no_archive_has_is_undecided() -> None:
    (found,) = read(snapshot(), {"gone"}).advisories
    assert found.affected[0].undecided and found.affected[0].ranges == ()


def test_an_update_that_mends_nothing_is_no_fix() -> None:
    said = snapshot(tzdata={"main": "2026b-1"})
    said.logs["tzdata 2026b-1"] = (Entry("2026b-1", (), NOW),)
    assert read(said, {"tzdata"}).advisories == ()


@pytest.mark.parametrize(("version", "wanted"), [("1", ["a"]), ("2", []), ("3", []), ("no version", ["a"])])
def test_changelogs_are_read_of_what_is_older_than_the_newest(version: str, wanted: list[str]) -> None:
    said = snapshot(a={"main": "1", "security": "2"})
    assert unread(said, [("a", version), ("elsewhere", "1")]) == wanted
    said.logs["a 2"] = None
    assert unread(said, [("a", version)]) == []


def test_a_new_snapshot_remembers_what_is_still_so_and_says_since_when_the_rest_is_there() -> None:
    first = renewed(None, "trixie", RELEASES, {"a": {"main": "1"}, "b": {"main": "1"}}, MADE)
    assert first.seen == {}
    first.logs |= {"a 1": (), "b 1": ()}
    second = renewed(first, "trixie", RELEASES, {"a": {"main": "1"}, "b": {"main": "2"}}, NOW)
    assert (second.seen, second.logs) == ({"b 2": NOW}, {"a 1": ()})
    third = renewed(second, "trixie", RELEASES, {"a": {"main": "1"}, "b": {"main": "2"}}, NOW.replace(year=2027))
    assert third.seen == {"b 2": NOW}
