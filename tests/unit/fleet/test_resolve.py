"""Actions whose outcome nobody recorded: resolved by what is there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.resolve import resolve, unanswered
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.action import PAST
from bluestone.model.ids import Digest
from bluestone.model.inventory import Admission, Backend, Inventory
from bluestone.model.server import Server

BEGAN = datetime(2026, 11, 23, 8, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=1)
IMAGE = Digest("sha256:" + "a" * 64)
SERVER = Server("web-1", "web", 1, 1, 1, IMAGE, IMAGE, "running", BEGAN)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = SqliteJournal(tmp_path / "journal.db")
    yield one
    one.close()


def world(*, exists: bool, admission: Admission | None = None) -> Inventory:
    backends = (Backend("web-1", "web", admission, "up", 0),) if admission else ()
    return Inventory(NOW, (SERVER,) if exists else (), backends)


WITH = world(exists=True)
WITHOUT = world(exists=False)
ATTACHED = world(exists=True, admission="attached")
DETACHED = world(exists=True, admission="detached")


@pytest.mark.parametrize(
    ("verb", "seen", "kind"),
    [
        ("create", WITH, "server.created"),
        ("create", WITHOUT, "action.lost"),
        ("enrol", DETACHED, "server.enrolled"),
        ("enrol", WITH, "action.lost"),
        ("attach", ATTACHED, "server.attached"),
        ("attach", DETACHED, "action.lost"),
        ("detach", DETACHED, "server.detached"),
        ("detach", ATTACHED, "action.lost"),
        ("dismiss", WITH, "server.dismissed"),
        ("dismiss", DETACHED, "action.lost"),
        ("destroy", WITHOUT, "server.destroyed"),
        ("destroy", WITH, "action.lost"),
    ],
)
def test_the_world_tells_what_became_of_it(journal: Journal, verb: str, seen: Inventory, kind: str) -> None:
    journal.record(BEGAN, [Entry(f"server.{verb}", "web", "web-1", "because")])
    (found,) = resolve(journal, seen)
    assert (found.kind, found.group, found.server) == (kind, "web", "web-1")
    assert found.data == {"verb": verb, "resolves": 1}
    journal.record(NOW, [found])
    assert unanswered(journal) == [], "it is resolved once"


def test_what_cannot_be_seen_or_may_still_take_effect_is_left_open(journal: Journal) -> None:
    journal.record(BEGAN, [Entry("server.create", "web", "web-1")])
    assert resolve(journal, replace(WITHOUT, gaps=("provider podman",))) == []
    assert resolve(journal, replace(WITHOUT, at=BEGAN + timedelta(seconds=9))) == []
    assert len(unanswered(journal)) == 1


def test_what_has_an_outcome_is_left_alone(journal: Journal) -> None:
    for verb, past in PAST.items():
        intent = Entry(f"server.{verb}", "web", "web-1")
        journal.record(BEGAN, [intent, Entry(f"server.{past}", "web", "web-1", data={"verb": verb})])
        journal.record(BEGAN, [intent, Entry("action.failed", "web", "web-1", data={"verb": verb})])
        journal.record(BEGAN, [intent, Entry("action.refused", "web", "web-1", data={"verb": verb})])
    assert unanswered(journal) == []


def test_of_two_tries_the_one_without_an_outcome_is_found(journal: Journal) -> None:
    again = Entry("server.detach", "web", "web-1")
    journal.record(BEGAN, [again, Entry("server.detached", "web", "web-1", data={"verb": "detach"}), again])
    assert [event.sequence for event in unanswered(journal)] == [3]
