"""Deadlines, waivers, windows and freezes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.model.advisory import Advisory
from bluestone.model.bom import Component
from bluestone.model.exposure import Exposure, Verdict
from bluestone.model.group import Group, Port
from bluestone.model.ids import Digest
from bluestone.model.patching import FixWaiver, Freeze, PatchPolicy, Rule, Window
from bluestone.patch import policy, ssvc

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday
FIX = NOW - timedelta(days=1)
FLAW = Advisory("DSA-1", "test", aliases=("CVE-2026-1",), severity="high", epss=0.2)
PUBLIC = Group("web", ports=(Port(80, 80, bind="0.0.0.0"),))
INSIDE = Group("db", ports=(Port(5432, 5432, bind="10.0.0.7"), Port(81, 81)))
OFFICE = PatchPolicy(windows=(Window((0, 1, 2, 3, 4), time(8), time(16)),))
NIGHT = PatchPolicy(windows=(Window((4,), time(22), time(4)),))


def exposure(advisory: Advisory = FLAW, fixed: str = "2", since: datetime | None = FIX) -> Exposure:
    component = Component("deb", "x", "1", "pkg:deb/debian/x@1", "/var/lib/dpkg/status", "dpkg")
    verdict = Verdict.AFFECTED_WITH_FIX if fixed else Verdict.AFFECTED_WITHOUT_FIX
    return Exposure(advisory, Digest("sha256:" + "1" * 64), component, verdict, "older", "x", fixed, since)


@pytest.mark.parametrize(
    ("exploited", "exposed", "automatable", "total", "days", "triage"),
    [
        (False, False, False, True, None, False),
        (False, False, True, True, 60, False),
        (False, True, False, False, 60, False),
        (False, True, True, False, 14, False),
        (False, True, True, True, 3, False),
        (True, False, False, True, 14, False),
        (True, False, True, True, 3, True),
        (True, True, True, False, 3, False),
        (True, True, True, True, 3, True),
    ],
)
def test_the_directives_table(
    exploited: bool, exposed: bool, automatable: bool, total: bool, days: int | None, triage: bool
) -> None:
    facts = {"exploited": exploited, "exposed": exposed, "automatable": automatable, "total": total}
    assert ssvc.within(**facts) == (None if days is None else timedelta(days=days))
    assert ssvc.asks_for_triage(**facts) is triage


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_what_is_not_known_is_never_given_more_time(
    exploited: bool, exposed: bool, automatable: bool, total: bool
) -> None:
    def days(**facts: bool) -> float:
        found = ssvc.within(exploited=exploited, exposed=exposed, **facts)
        return float("inf") if found is None else found.days

    assert days() <= min(days(automatable=automatable), days(total=total), days(automatable=automatable, total=total))


def test_a_group_is_reachable_by_its_ports_or_as_declared() -> None:
    assert policy.reachable(PatchPolicy(), PUBLIC)
    assert policy.reachable(PatchPolicy(), Group("x", ports=(Port(80, 80, bind="8.8.8.8"),)))
    assert not policy.reachable(PatchPolicy(), INSIDE)
    assert not policy.reachable(PatchPolicy(), Group("worker"))
    assert policy.reachable(PatchPolicy(exposed=("db",)), INSIDE)


def test_the_first_rule_that_is_met_decides_and_then_the_table() -> None:
    rules = (
        Rule(timedelta(hours=48), exploited=True),
        Rule(timedelta(days=5), severity="high", epss=0.1),
        Rule(timedelta(days=9), exposed=True),
    )
    made = PatchPolicy(rules=rules)

    def due(advisory: Advisory, *, exposed: bool = False) -> datetime | None:
        return policy.deadline(made, advisory, FIX, exposed=exposed).at

    assert due(replace(FLAW, exploited=True)) == FIX + timedelta(hours=48)
    assert due(FLAW) == FIX + timedelta(days=5)
    assert due(replace(FLAW, severity="critical")) == FIX + timedelta(days=5), "a bound is the least"
    assert due(replace(FLAW, epss=None), exposed=True) == FIX + timedelta(days=9), "an unknown EPSS meets no bound"
    assert due(replace(FLAW, severity="unknown")) == FIX + timedelta(days=60), "the table"
    assert policy.deadline(replace(made, table="none"), replace(FLAW, epss=0.0), FIX, exposed=False).at is None


def test_a_deadline_counts_from_the_fix_and_is_the_earliest_of_the_groups() -> None:
    by_table = PatchPolicy()
    assert policy.of_exposure(by_table, exposure(), [INSIDE]).at == FIX + timedelta(days=60)
    assert policy.of_exposure(by_table, exposure(), [INSIDE, PUBLIC]).at == FIX + timedelta(days=3)
    assert policy.of_exposure(by_table, exposure(fixed=""), [PUBLIC]).at is None
    assert policy.of_exposure(by_table, exposure(since=None), [PUBLIC]).at is None
    assert policy.of_exposure(by_table, exposure(replace(FLAW, exploited=True)), [PUBLIC]).triage


def test_standings() -> None:
    due = policy.Deadline(NOW, "")
    assert policy.standing(exposure(), due, NOW) == "due"
    assert policy.standing(exposure(), due, NOW + timedelta(seconds=1)) == "overdue"
    assert policy.standing(exposure(), policy.Deadline(None, ""), NOW) == "someday"
    assert policy.standing(exposure(fixed=""), due, NOW) == "no fix"
    assert policy.standing(replace(exposure(), verdict=Verdict.UNKNOWN), due, NOW) == "unknown"
    assert policy.standing(replace(exposure(), verdict=Verdict.NOT_AFFECTED), due, NOW) is None


def test_a_waiver_holds_for_its_groups_until_its_end_and_then_the_deadline_is_as_it_was() -> None:
    end = NOW + timedelta(days=2)
    made = PatchPolicy(waivers=(FixWaiver("cve-2026-1", "jane", "never called", end, ("web",)),))
    held = policy.waived(made, exposure(), ["web"], NOW)
    assert (held.verdict, held.until) == (Verdict.WAIVED, end)
    assert "jane" in held.why
    assert policy.waived(made, exposure(), ["web", "db"], NOW).verdict is Verdict.AFFECTED_WITH_FIX
    assert policy.waived(made, exposure(), [], NOW).verdict is Verdict.AFFECTED_WITH_FIX
    ended = policy.waived(made, exposure(), ["web"], end)
    assert ended.verdict is Verdict.AFFECTED_WITH_FIX
    assert "ended" in ended.why
    assert policy.of_exposure(made, ended, [PUBLIC]).at == FIX + timedelta(days=3), "not from the waiver's end"
    other = policy.waived(made, exposure(replace(FLAW, aliases=())), ["web"], NOW)
    assert other.verdict is Verdict.AFFECTED_WITH_FIX


def test_by_itself_a_patch_begins_in_windows_only() -> None:
    def may(at: datetime, made: PatchPolicy = OFFICE, **more: bool) -> policy.Permission:
        return policy.may_begin(made, (), at, UTC, **more)

    assert may(NOW).allowed
    evening = may(NOW.replace(hour=16))
    assert not evening.allowed
    assert evening.opens == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert may(NOW.replace(hour=16), by_hand=True).allowed
    assert may(datetime(2026, 12, 5, 3, 59, tzinfo=UTC), NIGHT).allowed, "Friday's night ends on Saturday"
    assert not may(datetime(2026, 12, 4, 3, 59, tzinfo=UTC), NIGHT).allowed
    assert may(NOW, PatchPolicy()).allowed


def test_windows_are_in_the_declared_zone() -> None:
    zone = ZoneInfo("America/New_York")
    assert not policy.may_begin(OFFICE, (), NOW, zone).allowed, "it is 07:00 there"
    assert policy.may_begin(OFFICE, (), NOW + timedelta(hours=1), zone).allowed


def test_a_freeze_keeps_hands_off_too_but_for_what_it_excepts() -> None:
    freeze = Freeze(NOW - timedelta(days=1), NOW + timedelta(days=2), "sales", ("overdue",))
    made = replace(OFFICE, freezes=(freeze,))
    by_hand = policy.may_begin(made, {"critical"}, NOW, UTC, by_hand=True)
    assert not by_hand.allowed
    assert "sales" in by_hand.why
    assert by_hand.opens == freeze.end
    assert policy.may_begin(made, {"overdue"}, NOW, UTC).allowed
    assert policy.may_begin(made, set(), NOW, UTC).opens == freeze.end, "the window is open at its end"
    assert policy.may_begin(made, set(), freeze.end, UTC).allowed
    endless = replace(made, freezes=(freeze, Freeze(NOW, NOW + timedelta(days=99), "moving")))
    assert policy.may_begin(endless, {"overdue"}, NOW, UTC).opens == datetime(2027, 3, 9, 12, tzinfo=UTC)


@given(st.integers(0, 14 * 24 * 60))
def test_it_may_begin_when_it_says_that_it_opens(minutes: int) -> None:
    freeze = Freeze(NOW + timedelta(days=2), NOW + timedelta(days=3, hours=7), "moving")
    made = replace(OFFICE, freezes=(freeze,))
    now = NOW + timedelta(minutes=minutes)
    found = policy.may_begin(made, (), now, UTC)
    if not found.allowed:
        assert found.opens is not None
        assert found.opens > now
        assert policy.may_begin(made, (), found.opens, UTC).allowed
        assert not policy.may_begin(made, (), found.opens - timedelta(minutes=1), UTC).allowed


def test_urgencies() -> None:
    late = policy.Deadline(NOW - timedelta(days=1), "")
    fierce = exposure(replace(FLAW, exploited=True, severity="critical"))
    assert policy.urgencies([(exposure(), late)], NOW) == {"overdue"}
    assert policy.urgencies([(fierce, policy.Deadline(None, ""))], NOW) == {"exploited", "critical"}
