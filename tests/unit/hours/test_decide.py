from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from bluestone.hours.calendar import timetable
from bluestone.hours.decide import Known, Standing, decide, next_look
from bluestone.model.group import Group
from bluestone.model.hours import Hours, Override, Period, Wanted

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
OFFICE = "Mo-Fr 08:00-18:00"


def group(name: str = "web", count: int = 3, **hours: Any) -> Group:
    return Group(name, count=count, hours=Hours((Period(hours.pop("when", OFFICE), count),), **hours))


def known(*groups: Group, **more: Any) -> Known:
    tables = {
        each.name: timetable(each.hours, frozenset(), date(2026, 11, 1), date(2026, 12, 31))
        for each in groups
        if each.hours
    }
    return Known(tables, **more)


def one(group_: Group, now: datetime, **more: Any) -> Wanted:
    return decide([group_], known(group_, **more), now)[0]


def clock(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return MONDAY + timedelta(hours=hour, minutes=minute, seconds=second)


def test_servers_are_begun_their_lead_before_the_opening() -> None:
    leads = {"web": 90.0}
    assert one(group(), clock(7, 58, 29), leads=leads).count == 0
    begun = one(group(), clock(7, 58, 30), leads=leads)
    assert (begun.count, begun.opening) == (3, clock(8))
    assert "opens at Mon 30 Nov 08:00 UTC" in begun.why
    assert one(group(), clock(17, 59, 59), leads=leads).count == 3
    closed = one(group(), clock(18), leads=leads)
    assert (closed.count, closed.lessened) == (0, True)
    assert "closed until Tue 01 Dec 08:00 UTC" in closed.why


def test_ready_by_comes_before_the_lead() -> None:
    early = group(ready_by=timedelta(minutes=5))
    assert one(early, clock(7, 53, 29), leads={"web": 90.0}).count == 0
    assert one(early, clock(7, 53, 30), leads={"web": 90.0}).count == 3


def test_a_short_close_does_not_take_servers_away() -> None:
    lunch = group(when="Mo-Fr 08:00-12:00,12:02-18:00")
    assert one(lunch, clock(12, 1), leads={"web": 150.0}).count == 3


def test_a_minimum_never_sleeps_and_is_not_kept_down() -> None:
    some = group(minimum=1)
    assert one(some, clock(3)).count == 1
    down = Override("web", False, clock(9), clock(12), "eva")
    assert one(some, clock(10), overrides=[down]).count == 1


def test_overrides_end_by_themselves_and_in_conflict_servers_stay_up() -> None:
    up = Override("web", True, clock(19), clock(22), "eva", "release")
    assert one(group(), clock(21), overrides=[up]).count == 3
    assert "kept up by eva" in one(group(), clock(21), overrides=[up]).why
    assert one(group(), clock(22), overrides=[up]).count == 0
    down = Override("", False, clock(20), clock(23), "tom")
    torn = one(group(), clock(21), overrides=[up, down])
    assert torn.count == 3
    assert "kept down by tom" in torn.doubts[0]
    assert one(group(), clock(22, 30), overrides=[up, down]).count == 0


def test_in_doubt_servers_are_up() -> None:
    doubtful = one(group(), clock(3), doubts={"web": ("the calendar c.ics cannot be read",)})
    assert (doubtful.count, doubtful.doubts) == (3, ("the calendar c.ics cannot be read",))
    beyond = one(group(), MONDAY + timedelta(days=90))
    assert beyond.count == 3
    assert "not known for this time" in beyond.why


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    there = {"web": Standing(3, 3)}
    newest = clock(8, 30)
    back = one(group(), clock(7), standings=there, newest=newest)
    assert back.count == 3
    assert "the clock is behind the journal" in back.doubts[0]
    assert one(group(), clock(7), standings={}, newest=newest).count == 0, "it starts nothing either"
    assert one(group(), clock(18), standings=there, newest=clock(18, 0, 30)).count == 0


def test_who_is_started_by_a_person_only() -> None:
    alone = group(never_start_alone=True)
    assert one(alone, clock(9)).count == 0
    up = Override("web", True, clock(8), clock(12), "eva")
    assert one(alone, clock(9), overrides=[up]).count == 3


def test_a_request_keeps_a_group_awake() -> None:
    assert one(group(on_request="page"), clock(3), awake={"web": clock(2)}).count == 3


def test_what_others_come_after_is_begun_earlier_and_stays_longer() -> None:
    db, web = group("db", 1, when="Mo-Fr 12:00-13:00"), group("web", after=("db",))
    leads = {"db": 60.0, "web": 90.0}

    def counts(now: datetime, **standings: Standing) -> list[int]:
        return [wanted.count for wanted in decide([web, db], known(web, db, leads=leads, standings=standings), now)]

    assert counts(clock(7, 57, 29)) == [0, 0]
    assert counts(clock(7, 57, 30)) == [0, 1]
    assert counts(clock(7, 58, 40), db=Standing(1, 0)) == [0, 1], "web waits until db serves"
    assert counts(clock(7, 58, 40), db=Standing(1, 1)) == [3, 1]
    there = {"db": Standing(1, 1), "web": Standing(3, 3)}
    assert counts(clock(9), db=Standing(1, 0), web=Standing(3, 3)) == [3, 1], "who runs goes on"
    assert counts(clock(18), **there) == [0, 1], "db goes after web"
    assert counts(clock(18), db=Standing(1, 1)) == [0, 0]


def test_groups_without_hours_are_always_up() -> None:
    plain = replace(group(), hours=None)
    assert one(plain, clock(3)).count == 3


def test_the_next_look_is_when_something_may_follow() -> None:
    some = group(ready_by=timedelta(minutes=1))
    its = known(some, leads={"web": 60.0})
    assert next_look([some], its, clock(3)) == clock(7, 58)
    assert next_look([some], its, clock(7, 59)) == clock(7, 59, 5)
    assert next_look([some], its, clock(9)) == clock(17, 58), "an opening, for all that is known"
    up = Override("web", True, clock(2), clock(4), "eva")
    assert next_look([some], replace(its, overrides=[up]), clock(3)) == clock(4)
    plain = replace(some, hours=None)
    assert next_look([plain], known(plain), clock(3)) is None
