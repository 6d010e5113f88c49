"""The daemon by the clock, on a fleet in memory. Most of the year is closed, so that the hour of the test is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from bluestone.app.fleet import back
from bluestone.app.fleet.rollout import tell_nobody
from bluestone.app.hours import cost as app_cost
from bluestone.app.hours import hours as app_hours
from bluestone.app.hours import keep
from bluestone.daemon import lead, presence
from bluestone.model.hours import Wanted
from daemon_world import APACHE, World, ask_up, daemon, until, world

__all__ = ["world"]


def soon_closed(world: World, *more: str) -> None:
    """Hours that are over: open for an hour, half a year from now."""
    day = datetime.now(UTC) + timedelta(days=180)
    lines = ["[servers.web.hours]", f'open = "{day:%b %d} 03:00-04:00"', *more]
    world.file.write_text(world.file.read_text() + "\n".join(lines) + "\n")


def keep_up(world: World, minutes: int = 30) -> None:
    keep.keep(world.open(), ["web"], up=True, until=f"{minutes}m", because="a test")
    presence.wake(world.open())


def test_up_out_of_hours_starts_nothing_and_what_it_led_to_comes_up_later(world: World) -> None:
    soon_closed(world)
    with daemon(world):
        assert ask_up(world).changed
        assert not world.names
        assert "0 servers serve" in world.events("rollout.finished")[-1]
        assert not ask_up(world).changed, "it is led there already"
        keep_up(world)
        until(lambda: len(world.serving()) == 2, "they are up")
        world.write(package="apache2")
        soon_closed(world)
        keep.release(world.open(), [])
        presence.wake(world.open())
        until(lambda: not world.names, "asleep again")
        # A patch that lands at night is what comes up in the morning.
        assert ask_up(world).changed
        assert not world.names
        keep_up(world)
        until(lambda: len(world.serving()) == 2, "up again")
        assert all(APACHE in name for name in world.names)
    assert world.balancer.runs
    told = world.events("hours.changed")
    assert len(told) == 4
    assert told[1].startswith("2 servers: kept up by")


def test_servers_drain_before_they_go_in_the_evening(world: World) -> None:
    soon_closed(world)
    with daemon(world):
        keep_up(world)
        ask_up(world)
        for name in world.names:
            world.balancer.set_sessions(name, 1)
        keep.release(world.open(), [])
        presence.wake(world.open())
        until(lambda: len(world.events("server.detached")) == 2, "they drain")
        assert len(world.names) == 2
        for name in world.names:
            world.balancer.set_sessions(name, 0)
        until(lambda: not world.names, "gone")
    assert "it is closed until" in world.events("server.destroy")[-1]


def test_the_daemon_that_starts_goes_by_the_clock_and_not_by_what_was(world: World) -> None:
    soon_closed(world, "minimum = 1")
    with daemon(world):
        keep_up(world)
        ask_up(world)
        assert len(world.serving()) == 2
    keep.release(world.open(), [])
    with daemon(world):
        until(lambda: len(world.names) == 1, "all but one sleep")


def test_a_deadly_image_that_comes_up_in_the_morning_gives_way_to_the_last_good_one(world: World) -> None:
    soon_closed(world)
    with daemon(world):
        keep_up(world)
        ask_up(world)
        keep.release(world.open(), [])
        presence.wake(world.open())
        until(lambda: not world.names, "asleep")
        world.write(package="apache2")
        soon_closed(world)
        ask_up(world)
        world.balancer.sick = APACHE
        keep_up(world)
        until(lambda: len(world.serving()) == 2, "the older image serves", 30)
        assert not any(APACHE in name for name in world.serving())


def test_an_opening_that_is_met_and_one_that_is_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the calendar says is put in its place; the journal tells the rest."""
    soon_closed(world)
    opening = datetime.now(UTC) + timedelta(minutes=10)
    said = [Wanted("web", 2, "it opens", opening)]
    with daemon(world, timedelta(milliseconds=100)) as running:
        keep_up(world)
        ask_up(world)
        keep.release(world.open(), [])
        running.leader.wake("test")
        until(lambda: not world.names, "asleep")
        monkeypatch.setattr(app_hours, "decide", lambda *_: said)
        until(lambda: bool(world.events("hours.met")), "met")
        said[:] = [Wanted("web", 0, "it is closed", lessened=True)]
        until(lambda: not world.names, "asleep")
        world.balancer.sick = "web"
        said[:] = [Wanted("web", 2, "it opens", datetime.now(UTC) - timedelta(seconds=1))]
        until(lambda: bool(world.events("hours.missed")), "missed")
        world.balancer.sick = "none"
        until(lambda: len(world.events("hours.met")) == 2, "late, but up")
    assert "ahead of" in world.events("hours.met")[0]
    assert "s after" in world.events("hours.met")[1]
    assert len(world.events("hours.missed")) == 1, "once"


PRICES = 'currency = "EUR"\ndated = 2020-01-01\n[[price]]\nprovider = "memory"\nhour = "3600"\n'


def test_what_servers_cost_and_that_optional_ones_end_when_the_budget_is_spent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_cost, "COUNTED_EVERY", timedelta(0))
    (world.directory / "prices.toml").write_text(PRICES)
    money = 'cost = { prices = "prices.toml", budget = "3.00", warn_at = 50, optional = ["web"] }\n'
    world.file.write_text(money + world.file.read_text())
    soon_closed(world)
    with daemon(world, timedelta(milliseconds=50)) as running:
        keep_up(world)
        ask_up(world)
        until(lambda: bool(world.events("budget.stopped")), "each server costs one a second")
        until(lambda: not world.names, "the budget ends them, though a person keeps them up")
        running.leader.wake("test")
    assert "these are ended: web" in world.events("budget.stopped")[0]
    assert len(world.events("budget.stopped")) == 1
    (shown,) = keep.hours(world.open(), ["web"], timedelta(days=1))
    assert (shown.wanted.count, "budget is spent" in shown.wanted.why) == (0, True)
    now = datetime.now(UTC)
    found = app_cost.bill(world.open(), now)
    assert float(found.ledger.total) > 3
    assert found.always_on > 0
    causes = found.ledger.by(lambda line: line.cause)
    assert {"served", "overlap"} <= set(causes)
    assert app_cost.what_if(world.open(), world.open(), now).now == {"web": 0}


def test_a_request_wakes_a_sleeping_group(world: World) -> None:
    soon_closed(world, 'on_request = "page"')
    with daemon(world):
        ask_up(world)
        assert not world.names
        assert world.balancer.services["web"].page

        def come() -> bool:
            """Whoever gets the page asks again."""
            world.balancer.arrived["web"] = world.balancer.arrived.get("web", 0) + 1
            return len(world.serving()) == 2

        until(come, "awake, though nobody told the daemon")
    assert "a request woke it" in world.events("hours.changed")[1]


def test_servers_that_are_too_old_are_replaced_within_the_budget(world: World) -> None:
    world.file.write_text('patch = { max_age = "1h" }\n' + world.file.read_text())
    with daemon(world, timedelta(milliseconds=100)) as running:
        ask_up(world)
        before = world.names
        for key in list(world.cloud.servers):
            server = world.cloud.servers[key]
            world.cloud.servers[key] = replace(server, created_at=server.created_at - timedelta(hours=1))
        running.leader.wake("test")
        until(lambda: len(world.serving()) == 2 and not world.names & before, "all are new")
    assert len(world.events("server.tainted")) == 2, "each once"
    assert "none may be older than 1:00:00" in world.events("server.tainted")[0]


def test_what_failed_on_its_first_morning_is_tried_again_on_the_next(world: World) -> None:
    world.file.write_text(world.file.read_text().replace('"5s"', '"1s"'))
    soon_closed(world)
    with daemon(world, timedelta(milliseconds=100)) as running:
        ask_up(world)
        world.balancer.sick = "web-1-"
        keep_up(world)
        until(lambda: bool(world.events("rollout.halted")), "one never becomes healthy, and there is no way back")
        keep.release(world.open(), [])
        running.leader.wake("test")
        until(lambda: not world.names, "asleep")
        world.balancer.sick = "none"
        keep_up(world)
        until(lambda: len(world.serving()) == 2, "they serve")


def test_without_a_daemon_up_goes_by_the_hours_once_and_says_who_keeps_them(world: World) -> None:
    soon_closed(world)
    said: list[str] = []
    assert ask_up(world, progress=said.append).changed
    assert not world.names
    assert any("bluestone serve" in text for text in said)
    assert any("web: 0 servers now, as it is closed until" in text for text in said)


def test_a_rollback_at_night_is_what_comes_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back, "require_signed", lambda *_: None)
    with daemon(world):
        ask_up(world)
        world.write(package="apache2")
        soon_closed(world)
        keep_up(world)
        ask_up(world)
        assert all(APACHE in name for name in world.names)
        keep.release(world.open(), [])
        presence.wake(world.open())
        until(lambda: not world.names, "asleep")
        assert lead.rollback(world.open(), ("web",), notify=tell_nobody, watch=tell_nobody).changed
        assert not world.names
        keep_up(world)
        until(lambda: len(world.serving()) == 2, "up again")
        assert not any(APACHE in name for name in world.names)
