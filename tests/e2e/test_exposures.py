"""What an image is exposed to, by archives of our own that real apt asks; and faults planted in each feed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

import fake_archive
import feed_world
from bluestone.app.patch import exposures, feeds, looks
from bluestone.model.exposure import Assessment, Exposure, Verdict
from bluestone.model.feed import FeedPolicy, FeedSource
from bluestone.model.patching import FixWaiver, PatchPolicy, Rule
from bluestone.model.problem import Problem
from bluestone.patch.board import Board
from fake_archive import SUITE
from feed_world import (
    ARCHIVE_FAULTS,
    DEBS,
    FEED_FAULTS,
    IMAGE,
    JINJA,
    LOG,
    MADE,
    NEW,
    OLD,
    PROGRAM,
    WHOLE,
    World,
    zipped,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def key() -> Iterator[fake_archive.Key]:
    with fake_archive.key() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, key: fake_archive.Key) -> Iterator[World]:
    with feed_world.world(tmp_path, key) as made:
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


def test_each_fault_of_the_archive_makes_its_packages_unknown(world: World) -> None:
    assert world.assess().outcome == "clean"
    for hour, (fault, said) in enumerate(ARCHIVE_FAULTS, 1):
        fault(world)
        found = world.assess(after=timedelta(hours=hour))
        assert found.outcome == "unknown", fault
        assert [(each.realm, each.components) for each in found.unknown] == [("deb:trixie", 2)]
        assert said in found.unknown[0].why, found.unknown
        world.archives.publish("debian-security", f"{SUITE}-security", ())
    world.archives.publish("debian", SUITE, (OLD, PROGRAM))
    assert world.assess(after=timedelta(hours=8)).outcome == "clean"


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


def test_each_fault_of_a_feed_makes_its_ecosystem_unknown(world: World) -> None:
    world.policy = replace(world.policy, archive=False)
    world.hold(replace(JINJA, version="3.1.6"))
    world.feed("pypi", zipped(*WHOLE))
    assert world.assess().outcome == "clean"
    for number, (fault, content) in enumerate(FEED_FAULTS.items(), 1):
        world.feed("pypi", content, later=10 * number)
        found = world.assess(after=timedelta(hours=2 * number))
        assert found.outcome == "unknown", fault
        assert [(each.realm, each.components) for each in found.unknown] == [("pypi", 1)], fault
        world.feed("pypi", zipped(*WHOLE), later=10 * number + 5)
        assert world.assess(after=timedelta(hours=2 * number + 1)).outcome == "clean", fault


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


def test_what_running_servers_have_by_a_trackers_file_with_deadlines_and_waivers(world: World) -> None:
    said = {"status": "resolved", "fixed_version": "1.3-2", "urgency": "high", "repositories": {}}
    without = {"status": "open", "urgency": "low", "repositories": {}}
    tracker = {
        "zlib": {"CVE-2026-1": {"releases": {SUITE: said}}},
        "hello": {"CVE-2026-2": {"releases": {SUITE: without}}},
    }
    (world.directory / "tracker.json").write_text(json.dumps(tracker))
    world.policy = FeedPolicy((FeedSource("debian", str(world.directory / "tracker.json")),), archive=False)
    world.patch = PatchPolicy(rules=(Rule(timedelta(days=7), severity="high"),))
    world.start("web", "web-0-77777777-1")
    world.start("web", "web-1-77777777-2")
    now = datetime.now(UTC)

    def board(at: datetime, *groups: str) -> Board:
        return exposures.board(world.project, lambda _: None, groups=groups, now=at)

    assert board(now, "api").assessment.exposures == ()  # None of its servers runs anything.
    first = board(now)
    standings = {each.component.name: (standing, due.at) for each, due, standing in first.each()}
    assert standings == {"zlib1g": ("due", now + timedelta(days=7)), "hello": ("no fix", None)}
    assert first.assessment.servers == {IMAGE: ("web-0-77777777-1", "web-1-77777777-2")}
    os.utime(world.directory / "tracker.json", times=(now.timestamp() + 8 * 86400,) * 2)
    later = board(now + timedelta(days=8))
    assert {standing for _, _, standing in later.each()} == {"overdue", "no fix"}  # It counts since it was first seen.
    look = looks.last(world.project.state)
    assert look and (look.of("overdue"), look.servers, look.outcome) == (1, 2, "affected")
    waiver = FixWaiver("CVE-2026-1", "jane", "never called", now + timedelta(days=30))
    world.patch = replace(world.patch, waivers=(waiver,))
    assert {standing for _, _, standing in board(now + timedelta(days=8)).each()} == {"waived", "no fix"}
    with pytest.raises(Problem, match="no group is called 'db'"):
        board(now, "db")
