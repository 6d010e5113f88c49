"""What readers make of each format, and what they refuse."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bluestone.model.advisory import Affected, Range
from bluestone.patch.feeds import openvex, osv, priorities, support, tracker
from bluestone.patch.feeds.cvss import base_score
from bluestone.patch.feeds.reading import Damaged, Exploited, Reading

STRUTS = {
    "id": "GHSA-j77q-2qqg-6989",
    "aliases": ["CVE-2017-5638"],
    "modified": "2026-11-29T10:00:00.5Z",
    "published": "2018-10-18T19:24:26Z",
    "summary": "Apache Struts vulnerable to remote arbitrary command execution",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "Maven", "name": "org.apache.struts:struts2-core"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
                {
                    "type": "ECOSYSTEM",
                    "events": [
                        {"introduced": "2.3.0"},
                        {"fixed": "2.3.32"},
                        {"introduced": "2.5.0"},
                        {"last_affected": "2.5.10"},
                    ],
                },
            ],
        },
        {"package": {"ecosystem": "PyPI", "name": "other"}, "versions": ["1"]},
    ],
}


def members(*records: object) -> list[tuple[str, bytes]]:
    return [(f"{number}.json", json.dumps(each).encode()) for number, each in enumerate(records)]


def test_osv() -> None:
    withdrawn = STRUTS | {"id": "GHSA-w", "withdrawn": "2026-01-01T00:00:00Z"}
    found = osv.read(members(STRUTS, withdrawn), "maven")
    (advisory,) = found.advisories
    assert (found.entries, found.covers) == (2, ("maven",))
    assert found.dated == datetime(2026, 11, 29, 10, 0, 0, 500000, tzinfo=UTC)
    assert (advisory.cves, advisory.severity, advisory.cvss) == (("CVE-2017-5638",), "critical", 9.8)
    ranges = (Range("2.3.0", "2.3.32"), Range("2.5.0", last="2.5.10"))
    assert advisory.affected == (Affected("maven", "org.apache.struts:struts2-core", ranges),)


def test_osv_of_a_severity_in_words_and_of_ranges_that_stay_open() -> None:
    record = {
        "id": "GO-1",
        "database_specific": {"severity": "MODERATE"},
        "affected": [
            {
                "package": {"ecosystem": "Go", "name": "toolchain"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
            }
        ],
    }
    (advisory,) = osv.read(members(record), "golang").advisories
    assert advisory.severity == "medium"
    assert advisory.affected == (Affected("golang", "stdlib", (Range(),)),)


def test_osv_of_another_ecosystem_covers_nothing() -> None:
    assert osv.read(members(STRUTS), "npm").covers == ()


@pytest.mark.parametrize(
    ("vector", "score"),
    [  # Of the specification's examples (FIRST, CVSS v3.1 Examples)
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
        ("CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 8.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
        ("CVSS:3.1/AV:N", None),
        ("banana", None),
    ],
)
def test_base_scores(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


def release(status: str, **more: object) -> dict[str, Any]:
    return {"status": status, "repositories": {}, "urgency": "not yet assigned", **more}


TRACKER = {
    "openssl": {
        "CVE-2026-1": {
            "description": "a description",
            "releases": {
                "trixie": release("resolved", fixed_version="3.5.1-1+deb13u1", urgency="high**"),
                "bookworm": release("open"),
                "bullseye": release("open"),
            },
        },
        "CVE-2026-2": {"releases": {"trixie": release("resolved", fixed_version="0")}},
        "CVE-2026-3": {"releases": {"trixie": release("undetermined")}},
        "TEMP-1": {"releases": {"sid": release("open")}},
    }
}


def test_the_tracker() -> None:
    found = tracker.read(json.dumps(TRACKER).encode(), ("trixie", "bookworm", "forky"))
    assert (found.entries, found.covers) == (4, ("deb:bookworm", "deb:trixie"))
    first, third = found.advisories
    assert (first.id, first.severity) == ("CVE-2026-1", "high")
    assert first.affected == (
        Affected("deb", "openssl", (Range(fixed="3.5.1-1+deb13u1"),), release="trixie"),
        Affected("deb", "openssl", (Range(),), release="bookworm"),
    )
    assert third.id == "CVE-2026-3" and third.affected[0].undecided


KEV = {
    "title": "catalogue",
    "catalogVersion": "2026.11.29",
    "dateReleased": "2026-11-29T15:00:00.1Z",
    "count": 1,
    "vulnerabilities": [{"cveID": "CVE-2017-5638", "dateAdded": "2021-11-03", "dueDate": "2022-05-03"}],
}
EPSS = "#model_version:v2025.03.14,score_date:2026-11-29T00:00:00+0000\ncve,epss,percentile\nCVE-2017-5638,0.97,0.99\n"


def test_what_makes_urgent() -> None:
    known = priorities.exploited(json.dumps(KEV).encode())
    assert known.exploited == {"CVE-2017-5638": Exploited(date(2021, 11, 3), date(2022, 5, 3))}
    assert known.dated == datetime(2026, 11, 29, 15, 0, 0, 100000, tzinfo=UTC)
    scores = priorities.scores(gzip.compress(EPSS.encode()))
    assert (scores.epss, scores.dated) == ({"CVE-2017-5638": 0.97}, datetime(2026, 11, 29, tzinfo=UTC))


DISTRO_INFO = (
    "version,codename,series,created,release,eol,eol-lts,eol-elts\n"
    "12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10,2028-06-30,2033-06-30\n"
    "14,Forky,forky,2025-08-09\n"
)


def test_until_when_releases_have_fixes() -> None:
    assert support.read(DISTRO_INFO.encode()).ends == {"bookworm": date(2028, 6, 30)}
    cycles = [
        {"cycle": "13", "codename": "Trixie", "eol": "2028-08-09"},
        {"cycle": "14", "codename": "F", "eol": False},
    ]
    assert support.read(json.dumps(cycles).encode()).ends == {"trixie": date(2028, 8, 9)}


VEX = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "author": "Jane",
    "timestamp": "2026-11-01T00:00:00Z",
    "statements": [
        {
            "vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-1"]},
            "products": [{"@id": "pkg:oci/web", "subcomponents": [{"@id": "pkg:deb/debian/openssl"}]}, "pkg:npm/a@1"],
            "status": "not_affected",
            "justification": "vulnerable_code_not_in_execute_path",
        },
        {"vulnerability": "CVE-2026-2", "products": ["pkg:npm/b"], "status": "under_investigation"},
    ],
}


def test_openvex() -> None:
    first, second = openvex.read(json.dumps(VEX).encode()).statements
    assert (first.names, first.products) == (("CVE-2026-1", "GHSA-1"), ("pkg:deb/debian/openssl", "pkg:npm/a@1"))
    assert (first.why, first.author) == ("vulnerable code not in execute path", "Jane")
    assert (second.names, second.status) == (("CVE-2026-2",), "under_investigation")


def of_tracker(content: bytes) -> Reading:
    return tracker.read(content, ("trixie",))


@pytest.mark.parametrize(
    ("read", "whole"),
    [
        (of_tracker, json.dumps(TRACKER).encode()),
        (priorities.exploited, json.dumps(KEV).encode()),
        (priorities.scores, gzip.compress(EPSS.encode(), mtime=0)),
        (openvex.read, json.dumps(VEX).encode()),
        (lambda content: osv.read([("a.json", content)], "maven"), json.dumps(STRUTS).encode()),
    ],
)
def test_half_of_a_feed_is_refused_wherever_it_is_cut(read: Callable[[bytes], Reading], whole: bytes) -> None:
    assert read(whole).entries
    for length in range(len(whole)):
        with pytest.raises(Damaged):
            read(whole[:length])


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (priorities.exploited, json.dumps(KEV | {"count": 2}).encode()),
        (priorities.scores, gzip.compress(b"#x\ncve,epss\nCVE-1,2.5\n", mtime=0)),
        (priorities.scores, gzip.compress(b"<html>\n</html>\n", mtime=0)),
        (openvex.read, json.dumps(VEX | {"@context": "https://example.org"}).encode()),
        (openvex.read, json.dumps(VEX | {"statements": [{"vulnerability": "CVE-1", "status": "fixed"}]}).encode()),
        (of_tracker, json.dumps({"a": {"CVE-1": {"releases": {"trixie": release("new word")}}}}).encode()),
        (of_tracker, b"<html>down for maintenance</html>"),
        (support.read, b"a,b\n1,2\n"),
    ],
)
def test_what_is_not_what_it_should_be_is_refused(read: Callable[[bytes], Reading], content: bytes) -> None:
    with pytest.raises(Damaged):
        read(content)
