from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bluestone.hours.lead import FLOOR, UNKNOWN, Boot, boots, learned, retries_for
from bluestone.hours.missed import explain
from bluestone.hours.overrides import KEPT, RELEASED, ending, in_force
from bluestone.model.event import Event
from bluestone.model.problem import Problem

NOW = datetime(2026, 11, 30, 19, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def event(number: int, kind: str, after: float = 0.0, **more: Any) -> Event:
    data = more.pop("data", {})
    return Event(
        number, NOW + timedelta(seconds=after), kind, more.get("group", "web"), more.get("server", ""), data=data
    )


def kept(number: int, way: str, group: str = "web", minutes: int = 60) -> Event:
    data = {"way": way, "until": (NOW + timedelta(minutes=minutes)).isoformat(), "by": "eva", "because": "exam"}
    return event(number, KEPT, group=group, data=data)


def test_the_newest_override_of_a_group_holds_until_its_end() -> None:
    found = in_force([kept(1, "down"), kept(2, "up"), kept(3, "down", group="db", minutes=1)], NOW)
    assert [(each.group, each.up) for each in found] == [("web", True), ("db", False)]
    assert len(in_force([kept(1, "up", minutes=1)], NOW + timedelta(minutes=1))) == 0


def test_a_release_ends_those_of_its_group_or_all() -> None:
    both = [kept(1, "up"), kept(2, "up", group="db")]
    assert [each.group for each in in_force([*both, event(3, RELEASED)], NOW)] == ["db"]
    assert in_force([*both, event(3, RELEASED, group="")], NOW) == []


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("22:00", datetime(2026, 11, 30, 21, tzinfo=UTC)),
        ("19:30", datetime(2026, 12, 1, 18, 30, tzinfo=UTC)),
        ("90m", NOW + timedelta(minutes=90)),
        ("2026-12-24T18:00", datetime(2026, 12, 24, 17, tzinfo=UTC)),
        ("2026-12-24T18:00+00:00", datetime(2026, 12, 24, 18, tzinfo=UTC)),
    ],
)
def test_ends_of_overrides(text: str, end: datetime) -> None:
    assert ending(text, NOW, BERLIN) == end


@pytest.mark.parametrize("text", ["25:00", "soon", "", "0m", "2026-11-29T10:00", "2030-01-01T00:00", "99999d", "m"])
def test_what_is_no_end(text: str) -> None:
    with pytest.raises(Problem):
        ending(text, NOW, BERLIN)


def test_boots_are_read_from_the_journal() -> None:
    image = {"image": "sha256:a"}
    events = [
        event(1, "server.create", 0, server="web-1", data=image),
        event(2, "server.create", 0, server="web-2", data=image),
        event(3, "server.create", 0, server="web-3", data=image),
        event(4, "server.attached", 12, server="web-1"),
        event(5, "server.died", 20, server="web-2"),
        event(6, "action.failed", 5, server="web-3", data={"verb": "create"}),
        event(7, "server.attached", 500, server="web-1"),
    ]
    assert boots(events) == [
        Boot("sha256:a", 12, True),
        Boot("sha256:a", 20, False),
    ], "a call that fails is no boot"


def test_leads_are_learned_by_image_and_never_below_the_floor() -> None:
    assert learned([], "a", 3).seconds == UNKNOWN
    quick = [Boot("a", 2.0, True)] * 200
    assert learned(quick, "a", 3).seconds == FLOOR
    slow = [Boot("b", 100.0, True)] * 200
    assert learned(quick + slow, "b", 3).seconds > learned(quick + slow, "a", 3).seconds
    failing = slow[:150] + [Boot("b", 60.0, False)] * 20
    assert learned(failing, "b", 3).seconds > learned(slow, "b", 3).seconds
    assert "20 failed" in learned(failing, "b", 3).why


def test_retries_follow_from_how_often_boots_fail() -> None:
    assert retries_for(10, 0.0) == 0
    assert retries_for(10, 0.02) == 2
    assert retries_for(10, 0.9) == 6


def test_misses_are_explained() -> None:
    opening = NOW
    asleep = explain(opening, None, opening - timedelta(hours=9), [], [])
    assert "nobody looked from 30 Nov 10:00:00" in asleep
    slow = explain(opening, opening - timedelta(seconds=40), None, [], ["web-1: not healthy yet"])
    assert "begun 40 s ahead, and took longer" in slow
    assert "web-1: not healthy yet" in slow
    failing = explain(
        opening, opening - timedelta(seconds=40), None, [event(1, "server.died"), event(2, "server.died")], []
    )
    assert "2 times server died" in failing
