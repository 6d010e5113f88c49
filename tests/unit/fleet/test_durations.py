"""Predicted durations: medians of what was measured, else what is assumed."""

from datetime import UTC, datetime, timedelta

import pytest

from bluestone.fleet.durations import ASSUMED, AT_ONCE, BETWEEN, UNMEASURED, measure
from bluestone.model.action import Action, Create, Destroy, Detach
from bluestone.model.event import Event
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import Digest

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
GENERATION = Generation("web", 1, Digest("sha256:" + "a" * 64), ServerConfig("podman"))


def event(at: float, kind: str, server: str, **data: object) -> Event:
    return Event(1, START + timedelta(seconds=at), kind, "web", server, "", dict(data))


def a_life(server: str, took: float, boot: float) -> list[Event]:
    return [
        event(0, "server.create", server),
        event(took, "server.created", server, verb="create", took_s=took),
        event(took + boot, "server.attach", server),
    ]


def creates(number: int) -> list[Action]:
    return [Create(slot, slot, GENERATION, "") for slot in range(1, number + 1)]


def test_medians_are_taken_of_the_steps_that_worked() -> None:
    lives = [*a_life("web-1", 1, 10), *a_life("web-2", 3, 20), *a_life("web-3", 100, 12)]
    failed = event(0, "action.failed", "web-4", verb="create", took_s=900)
    found = measure([*lives, failed])
    assert (found.of("web", "create"), found.of("web", "boot")) == (3, 12)
    assert found.knows("web")


def test_what_was_never_measured_is_assumed_and_that_is_known() -> None:
    assert UNMEASURED.of("web", "boot") == ASSUMED["boot"]
    assert not UNMEASURED.knows("web")
    assert measure(a_life("web-1", 1, 10)).of("api", "boot") == ASSUMED["boot"]


@pytest.mark.parametrize(("number", "turns"), [(1, 1), (AT_ONCE, 1), (AT_ONCE + 1, 2)])
def test_a_round_of_creates_takes_its_turns_and_one_boot(number: int, turns: int) -> None:
    found = measure(a_life("web-1", 2, 7))
    assert found.of_round(creates(number)) == pytest.approx(turns * 2 + 7 + BETWEEN)


def test_what_is_done_together_takes_as_long_as_the_longest() -> None:
    found = measure(a_life("web-1", 2, 7))
    together: list[Action] = [*creates(1), Detach("web", "web-9", ""), Destroy("web", "web-8", "")]
    assert found.of_round(together) == pytest.approx(2 + 7 + BETWEEN)
    assert found.of_round([]) == 0
