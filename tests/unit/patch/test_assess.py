"""What feeds come to together: each thing once, with what all know of it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from bluestone.model.advisory import Advisory, Affected, Range, Statement
from bluestone.model.bom import Component
from bluestone.model.exposure import Exposure, FeedState, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.assess import assessed, coverage, is_about, merged
from bluestone.patch.feeds.reading import Exploited, Reading

IMAGE = Digest("sha256:" + "1" * 64)
SOON, LATER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
OPENSSL = Component("deb", "libssl3t64", "3.5.1-1", "pkg:deb/debian/libssl3t64@3.5.1-1?arch=amd64", "/s", "dpkg")


def exposure(id: str, *aliases: str, verdict: Verdict = Verdict.AFFECTED_WITH_FIX, **more: object) -> Exposure:
    since = more.pop("since", None)
    affected = (Affected("deb", "openssl", (Range(fixed="2"),)),)
    advisory = Advisory(id, str(more.pop("feed", "debian")), affected, aliases, **more)  # type: ignore[arg-type]
    fixed = "2" if verdict is Verdict.AFFECTED_WITH_FIX else ""
    return Exposure(advisory, IMAGE, OPENSSL, verdict, "why", "openssl", fixed, since)  # type: ignore[arg-type]


def test_what_two_feeds_tell_is_told_once_with_the_worst_of_both() -> None:
    one = exposure("GHSA-1", "CVE-2026-1", severity="high", cvss=7.5, feed="osv")
    two = exposure("PYSEC-1", "CVE-2026-1", "X-9", severity="medium", cvss=5.0, feed="osv", summary="text")
    (found,) = merged([two, one])
    assert (found.advisory.id, found.advisory.severity, found.advisory.cvss) == ("GHSA-1", "high", 7.5)
    assert set(found.advisory.names) == {"GHSA-1", "PYSEC-1", "CVE-2026-1", "X-9"}
    assert found.advisory.summary == "text"


def test_names_that_hang_together_by_a_third_are_one() -> None:
    found = merged([exposure("A", "CVE-1"), exposure("B", "CVE-2"), exposure("C", "CVE-1", "CVE-2"), exposure("D")])
    assert sorted(each.advisory.id for each in found) == ["A", "D"]


def test_of_feeds_that_disagree_the_one_that_has_a_fix_counts() -> None:
    without = exposure("A", "CVE-1", verdict=Verdict.AFFECTED_WITHOUT_FIX)
    (found,) = merged([without, exposure("B", "CVE-1")])
    assert found.verdict is Verdict.AFFECTED_WITH_FIX


def test_a_pending_fix_of_which_another_feed_tells_all_gives_it_its_moment() -> None:
    pending = exposure("openssl 2", "CVE-1", "CVE-2", pending=True, since=SOON)
    (one, two) = merged([pending, exposure("CVE-1"), exposure("CVE-2", published=LATER, since=LATER)])
    assert [each.advisory.id for each in (one, two)] == ["CVE-1", "CVE-2"]
    assert (one.since, two.since) == (SOON, SOON)
    found = merged([pending, exposure("CVE-1")])
    assert [each.advisory.id for each in found] == ["openssl 2", "CVE-1"]


def test_a_signed_kernel_is_pending_once() -> None:
    nameless = exposure("linux-signed-amd64 2", pending=True)
    assert merged([nameless]) == [nameless]
    found = merged([nameless, exposure("linux 2", "CVE-1", pending=True)])
    assert [each.advisory.id for each in found] == ["linux 2"]


def test_priorities_are_the_worst_of_all_of_an_advisorys_cves() -> None:
    due = Exploited(date(2026, 1, 1), date(2026, 1, 15))
    readings = [Reading(1, exploited={"CVE-2": due}), Reading(2, epss={"CVE-1": 0.1, "CVE-2": 0.9})]
    known = exposure("CVE-2", severity="critical", cvss=9.8)
    pending = exposure("openssl 2", "CVE-1", "CVE-2", "CVE-3", pending=True)
    found = {each.advisory.id: each.advisory for each in assessed([pending, known], readings)}
    assert (found["openssl 2"].exploited, found["openssl 2"].exploited_due) == (True, date(2026, 1, 15))
    assert (found["openssl 2"].epss, found["openssl 2"].severity, found["openssl 2"].cvss) == (0.9, "critical", 9.8)


def said(status: str, *names: str, at: datetime = SOON, product: str = "pkg:deb/debian/libssl3t64") -> Reading:
    statement = Statement(names, (product,), status, "not called", "Jane", at)  # type: ignore[arg-type]
    return Reading(1, statements=(statement,))


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ([said("not_affected", "CVE-1")], Verdict.NOT_AFFECTED),
        ([said("fixed", "CVE-1")], Verdict.NOT_AFFECTED),
        ([said("affected", "CVE-1")], Verdict.AFFECTED_WITH_FIX),
        ([said("under_investigation", "CVE-1")], Verdict.UNKNOWN),
        ([said("not_affected", "CVE-1"), said("affected", "CVE-1", at=LATER)], Verdict.AFFECTED_WITH_FIX),
        ([said("not_affected", "CVE-2")], Verdict.AFFECTED_WITH_FIX),
        ([said("not_affected", "CVE-1", product="pkg:deb/debian/other")], Verdict.AFFECTED_WITH_FIX),
        ([said("not_affected", "CVE-1", product=IMAGE)], Verdict.NOT_AFFECTED),
    ],
)
def test_statements(readings: list[Reading], verdict: Verdict) -> None:
    (found,) = assessed([exposure("GHSA-1", "CVE-1")], readings)
    assert found.verdict is verdict
    if verdict is Verdict.NOT_AFFECTED:
        assert found.why == "not called, says Jane"


def test_a_fix_of_several_is_needed_until_none_of_them_matters() -> None:
    pending = exposure("openssl 2", "CVE-1", "CVE-2", pending=True)
    (found,) = assessed([pending], [said("not_affected", "CVE-1")])
    assert found.verdict is Verdict.AFFECTED_WITH_FIX
    (found,) = assessed([pending], [said("not_affected", "CVE-1", "CVE-2")])
    assert found.verdict is Verdict.NOT_AFFECTED


@pytest.mark.parametrize(
    ("product", "about"),
    [
        ("pkg:deb/debian/libssl3t64", True),
        ("pkg:deb/debian/libssl3t64@3.5.1-1", True),
        ("pkg:deb/debian/libssl3t64@3.5.1-1?arch=amd64", True),
        ("pkg:deb/debian/libssl3t64@3.5.1-1?arch=arm64", False),
        ("pkg:deb/debian/libssl3t64@3.5.2-1", False),
        ("pkg:deb/debian/libssl3", False),
        ("pkg:deb/debian", False),
    ],
)
def test_what_a_product_of_a_statement_is_about(product: str, about: bool) -> None:
    assert is_about(product, exposure("CVE-1")) is about


def test_an_npm_scope_is_no_version() -> None:
    scoped = replace(OPENSSL, ecosystem="npm", purl="pkg:npm/@scope/name@1.0.0")
    each = replace(exposure("CVE-1"), component=scoped)
    assert is_about("pkg:npm/@scope/name", each)
    assert not is_about("pkg:npm/@scope", each)


def test_what_is_covered() -> None:
    sound = FeedState("archive", "archive", covers=("deb:trixie",))
    stale = FeedState("npm", "npm", covers=("npm",), trouble="is stale")
    found = coverage([sound, stale], {"bullseye": date(2026, 8, 31), "trixie": date(2028, 8, 9)}, date(2026, 11, 30))
    assert found == {
        "deb:trixie": "",
        "npm": "the feed npm is stale",
        "deb:bullseye": "bullseye had its last fixes on 2026-08-31",
    }
