"""Why a server is here, or is not any more: told from the journal of a rollout that really went so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.fleet import story
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.event import Event
from bluestone.simulation.trial import Trial
from bluestone.simulation.weather import CALM
from trials import a_group


@pytest.fixture(scope="module")
def events() -> Iterator[list[Event]]:
    journal = SqliteJournal(Path(":memory:"))
    Trial(3, [a_group("rolling", 2)], CALM, journal).run()
    yield journal.events()
    journal.close()


def of(events: list[Event], server: str) -> list[Event]:
    return [event for event in events if event.server == server]


def starts(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "rollout.started"]


def first(events: list[Event], kind: str) -> Event:
    return next(event for event in events if event.kind == kind)


def test_a_server_that_is_gone_is_explained_from_its_birth_to_its_end(events: list[Event]) -> None:
    gone = first(events, "server.destroyed").server
    told = "\n".join(story.of_server(gone, of(events, gone), starts(events)).summary)
    assert f"{gone} is a server of generation 1 of web, in slot" in told
    assert "generation 1 has 0 of 2 servers" in told
    assert "replaced by generation 2" in told
    assert "in the rollout to generation 2, rolling that simulated began" in told
    assert "got requests from" in told
    assert " until " in told


def test_a_server_that_stays_says_what_it_is_now(events: list[Event]) -> None:
    ended = {event.server for event in events if event.kind == "server.destroyed"}
    stays = next(e.server for e in reversed(events) if e.kind == "server.created" and e.server not in ended)
    told = story.of_server(stays, of(events, stays), starts(events), now="serving now").summary
    assert told[-1] == "it is serving now"
    assert not any("destroyed" in sentence for sentence in told)


def test_a_plan_of_the_past_says_what_it_led_to(events: list[Event]) -> None:
    started = starts(events)[-1]
    after = [event for event in events if event.sequence > started.sequence]
    told = "\n".join(story.of_plan("abc", started, after).summary)
    assert "servers: 2 created, 2 attached, 2 detached, 2 destroyed" in told
    assert "it is not at its end yet" in told


def test_an_outcome_names_its_intent_and_an_intent_its_outcome(events: list[Event]) -> None:
    destroyed = first(events, "server.destroyed")
    around, rollout = of(events, destroyed.server), starts(events)[-1]
    intent = first(around, "server.destroy")
    assert f"it answers event {intent.sequence}" in "\n".join(story.of_event(destroyed, around, rollout).summary)
    told = story.of_event(intent, around, rollout)
    assert f"what became of it: event {destroyed.sequence}" in "\n".join(told.summary)
    assert intent in told.events
    assert destroyed in told.events


def test_an_intent_without_an_outcome_says_so(events: list[Event]) -> None:
    intent = first(events, "server.destroy")
    told = story.of_event(intent, [e for e in of(events, intent.server) if e.sequence <= intent.sequence], None)
    assert "nothing yet" in told.summary[1]
