"""The board, and the same for other programs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from msgspec.structs import replace

from bluestone.model.advisory import Advisory
from bluestone.model.bom import Component
from bluestone.model.exposure import Assessment, Exposure, FeedState, Unknown, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.board import Board, outcome, rows
from bluestone.patch.feeds import openvex
from bluestone.patch.history import Look, is_news, line, parse
from bluestone.patch.policy import Deadline
from bluestone.patch.reports import html, sarif, tables, vex
from bluestone.patch.reports.chart import MOST, chart, thinned

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD, NEW = Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)
DAY = timedelta(days=1)
SSL = replace(
    Component("deb", "libssl3t64", "3.5.1-1", "pkg:deb/debian/libssl3t64@3.5.1-1", "/var/lib/dpkg/status", "dpkg"),
    source="openssl",
    source_version="3.5.1-1",
)
JINJA = Component("pypi", "jinja2", "3.1.5", "pkg:pypi/jinja2@3.1.5", "/srv/<b>app</b>/METADATA", "metadata")


def pending(version: str, *cves: str, image: Digest = OLD, days: int = 10) -> tuple[Exposure, Deadline]:
    advisory = Advisory(f"openssl {version}", "archive", (), cves, pending=True)
    since = NOW - days * DAY
    exposure = Exposure(advisory, image, SSL, Verdict.AFFECTED_WITH_FIX, "it is below", "openssl", version, since)
    return exposure, Deadline(since + 14 * DAY, "rule 1 of patch.rules")


def other(verdict: Verdict, name: str = "GHSA-1", **more: Any) -> tuple[Exposure, Deadline]:
    advisory = Advisory(name, "osv", (), ("CVE-2026-9",), "a <script>alert(1)</script>", "high", 7.5, published=NOW)
    fixed = "3.1.6" if verdict is Verdict.AFFECTED_WITH_FIX else ""
    exposure = Exposure(advisory, OLD, JINJA, verdict, "so <it> is", "", fixed, NOW, **more)
    return exposure, Deadline(None, "with the next upgrade")


def board(*pairs: tuple[Exposure, Deadline], **more: Any) -> Board:
    servers = {OLD: ("web-0-aaaaaaaa-1", "web-1-aaaaaaaa-2"), NEW: ("web-2-bbbbbbbb-3",)}
    feeds = (FeedState("archive", "archive", "ab" * 32, NOW, NOW, 3, ("deb:trixie",)),)
    assessment = Assessment(NOW, tuple(each for each, _ in pairs), feeds=feeds, servers=servers, **more)
    return Board("shop", assessment, tuple(due for _, due in pairs), {OLD: ("web",), NEW: ("web", "api")})


WHOLE = board(
    pending("3.5.1-1+deb13u1", "CVE-2026-1", days=20),
    pending("3.5.10-1", "CVE-2026-2", "CVE-2026-3"),
    pending("3.5.9-1", "CVE-2026-1", image=NEW),
    other(Verdict.AFFECTED_WITH_FIX),
    other(Verdict.NOT_AFFECTED, "GHSA-2"),
    other(Verdict.UNKNOWN, "GHSA-3"),
    other(Verdict.WAIVED, "GHSA-4", until=NOW + DAY),
    other(Verdict.AFFECTED_WITHOUT_FIX, "GHSA-5"),
    unknown=(Unknown(OLD, "npm", 4, "no feed covers npm"),),
)


def test_the_board_has_a_row_for_each_version_of_a_package_the_most_pressing_first() -> None:
    found = rows(WHOLE)
    assert [each.standing for each in found] == ["overdue", "due", "someday", "no fix", "unknown", "waived"]
    overdue, due, *_ = found
    assert (overdue.package, overdue.version, overdue.fixed) == ("openssl", "3.5.1-1", "3.5.1-1+deb13u1")
    assert (due.fixed, due.names) == ("3.5.10-1", ("CVE-2026-1", "CVE-2026-2", "CVE-2026-3"))
    assert (len(due.servers), due.groups, due.images) == (3, ("api", "web"), (OLD, NEW))
    assert overdue.due.at == NOW - 6 * DAY
    assert WHOLE.tally()["due"] == 1


@pytest.mark.parametrize(
    ("pairs", "more", "came", "ignoring"),
    [
        ([], {}, "clean", "clean"),
        ([other(Verdict.NOT_AFFECTED)], {}, "clean", "clean"),
        ([other(Verdict.WAIVED)], {}, "clean", "clean"),
        ([other(Verdict.UNKNOWN)], {}, "unknown", "unknown"),
        ([other(Verdict.AFFECTED_WITHOUT_FIX)], {}, "affected", "clean"),
        ([other(Verdict.AFFECTED_WITHOUT_FIX), other(Verdict.UNKNOWN)], {}, "affected", "unknown"),
        ([other(Verdict.AFFECTED_WITHOUT_FIX)], {"gaps": ("x",)}, "affected", "unknown"),
        ([other(Verdict.AFFECTED_WITH_FIX)], {"gaps": ("x",)}, "affected", "affected"),
        ([], {"gaps": ("x",)}, "unknown", "unknown"),
        ([], {"unknown": (Unknown(OLD, "npm", 4, "x"),)}, "unknown", "unknown"),
    ],
)
def test_what_it_comes_to(
    pairs: list[tuple[Exposure, Deadline]], more: dict[str, Any], came: str, ignoring: str
) -> None:
    found = board(*pairs, **more)
    assert (outcome(found), outcome(found, ignore_unfixed=True)) == (came, ignoring)


def test_csv_has_every_exposure_and_no_formula() -> None:
    evil = replace(JINJA, name="=cmd|'/c calc'!A1")
    first, due = other(Verdict.AFFECTED_WITH_FIX)
    found = list(csv.DictReader(io.StringIO(tables.as_csv(board((replace(first, component=evil), due))))))
    assert found[0]["package"] == "'=cmd|'/c calc'!A1"
    assert len(list(csv.DictReader(io.StringIO(tables.as_csv(WHOLE))))) == len(WHOLE.assessment.exposures)


def test_sarif_names_rules_and_what_could_not_be_told() -> None:
    found = json.loads(json.dumps(sarif.sarif(WHOLE, "1")))
    (run,) = found["runs"]
    assert {each["ruleId"] for each in run["results"]} == {each["id"] for each in run["tool"]["driver"]["rules"]}
    assert Counter(each["level"] for each in run["results"]) == {"error": 1, "warning": 3, "note": 3}
    (suppressed,) = (each for each in run["results"] if "suppressions" in each)
    assert suppressed["ruleId"] == "GHSA-4"
    assert not run["invocations"][0]["executionSuccessful"]
    assert "no feed covers npm" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    uri = run["results"][-1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert "<" not in uri and not uri.startswith("/")


def test_cyclonedx_is_valid_and_has_a_vulnerability_for_each_cve() -> None:
    written = vex.cyclonedx(WHOLE, "1")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(written)) is None
    states = {(each["id"], each["analysis"]["state"]) for each in written["vulnerabilities"]}
    assert ("CVE-2026-3", "exploitable") in states and ("CVE-2026-9", "not_affected") in states
    assert vex.cyclonedx(WHOLE, "1") == written


def test_openvex_is_read_by_our_own_reader() -> None:
    found = openvex.read(json.dumps(vex.openvex(WHOLE)).encode())
    statuses = Counter(each.status for each in found.statements)
    assert statuses == {"affected": 7, "not_affected": 1, "under_investigation": 1}
    for each in vex.openvex(WHOLE)["statements"]:
        # What the specification asks for with each status.
        assert each["status"] != "affected" or each["action_statement"]
        assert each["status"] != "not_affected" or each["impact_statement"]
        assert each["products"][0]["@id"] == f"pkg:oci/shop@sha256%3A{each['products'][0]['@id'][-64:]}"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1


def looks(*counts: dict[str, int]) -> list[Look]:
    return [Look(NOW - (len(counts) - n) * DAY, each, "affected", 3) for n, each in enumerate(counts)]


def test_the_page_lets_no_name_speak_and_draws_what_was() -> None:
    page = html.page(WHOLE, looks({"due": 3}, {"overdue": 1, "due": 2}, {"waived": 1}))
    tags = Tags()
    tags.feed(page)
    assert tags.found["script"] == tags.found["b"] == 0 and tags.found["svg"] == 1
    assert "no feed covers npm" in page and "default-src 'none'" in page


def test_the_chart_stacks_what_stands_where_over_time() -> None:
    drawn = ElementTree.fromstring(chart(looks({"due": 4}, {"overdue": 2}), NOW))
    polygons = [each for each in drawn if each.tag.endswith("polygon")]
    assert len(polygons) == 2
    heights = [{float(y) for y in re.findall(r",([\d.]+)", each.attrib["points"])} for each in polygons]
    assert min(heights[0]) > min(heights[1])  # 2 overdue are drawn lower than 4 due, and y grows downwards.
    assert chart([], NOW) == ""
    assert chart(looks({}), NOW).startswith("<svg")


@pytest.mark.parametrize(
    ("outcome", "feeds", "drawn"), [("clean", {"kev": True}, 0), ("unknown", {}, 1), ("affected", {"kev": False}, 1)]
)
def test_what_could_not_be_told_is_not_drawn_as_nothing(outcome: str, feeds: dict[str, bool], drawn: int) -> None:
    svg = ElementTree.fromstring(chart([Look(NOW - DAY, {}, outcome, 0, feeds=feeds)], NOW))
    tall = [each for each in svg if each.tag.endswith("rect") and float(each.attrib["height"]) > 100]
    assert len(tall) == drawn


def test_a_long_time_is_drawn_by_its_worst_moments() -> None:
    many = looks(*({"due": 1, "overdue": int(number == 777)} for number in range(3000)))
    few = thinned(many)
    assert len(few) <= MOST and few[-1] == many[-1]
    assert sum(each.of("overdue") for each in few) == 1


def test_looks_are_kept_if_they_are_news_and_read_past_half_a_line() -> None:
    first, second = looks({"due": 1}, {"due": 2})
    assert is_news(second, first) and is_news(first, None)
    assert not is_news(replace_at(first, timedelta(minutes=5)), first)
    assert is_news(replace_at(first, timedelta(hours=1)), first)
    assert parse([line(first), line(second)[:20], b"\n", line(second)]) == [first, second]


def replace_at(look: Look, later: timedelta) -> Look:
    return Look(look.at + later, look.counts, look.outcome, look.servers)
