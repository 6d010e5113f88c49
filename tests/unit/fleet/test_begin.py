"""What the journal says of a rollout's beginning and end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from bluestone.fleet.controller.begin import beginning, declare, finished, started
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.memory import Memory
from bluestone.model.plan import Progress
from trials import a_goal

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_a_rollout_begins_once_and_again_for_another_goal(tmp_path: Path) -> None:
    journal, goal = SqliteJournal(tmp_path / "journal.db"), a_goal("rolling", 1)
    assert beginning(journal, [goal], Memory()) == {"web"}
    journal.record(NOW, [started(goal, "mk", "abc", 12.0)])
    assert beginning(journal, [goal], Memory()) == set()
    assert beginning(journal, [a_goal("rolling", 2)], Memory()) == {"web"}


def test_another_way_to_lead_a_group_is_noted_once(tmp_path: Path) -> None:
    """As what a rollout may take: no server has to be replaced for it, and a patch must know of it."""
    journal, goal = SqliteJournal(tmp_path / "journal.db"), a_goal("rolling", 1)
    assert declare(journal, [goal])
    assert not declare(journal, [goal])
    slower = replace(goal.group, rollout=replace(goal.group.rollout, progress=timedelta(minutes=9)))
    assert declare(journal, [replace(goal, group=slower)])
    assert journal.declared() == [slower]
    assert not declare(journal, [replace(goal, group=replace(slower, count=0))]), "what goes is led as it was"
    assert journal.declared() == [slower]


def test_the_end_says_how_long_it_took_beside_what_was_predicted(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    done = Progress("web", "done", 3, 3)
    assert finished(journal, done, NOW).message == "3 servers serve"
    journal.record(NOW, [started(a_goal("rolling", 1), "mk", "abc", 12.0)])
    entry = finished(journal, done, NOW + timedelta(seconds=20))
    assert entry.message == "3 servers serve, after 20 s (12 s were predicted)"
    assert entry.data == {"took_s": 20.0, "predicted_s": 12.0}
