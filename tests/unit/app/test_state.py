"""Where a project's journal is, and that no other is taken for it. A second file stands for the database."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.fleet.lead import lead
from bluestone.app.project import Project
from bluestone.app.state import HERE, located, move, opened, state
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.lease import Fenced
from bluestone.fleet.controller.lock import introduce
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.host.paths import Home
from bluestone.model.declaration import Declaration, Store
from bluestone.model.group import SecretRef
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
DATABASE = Store("postgresql://db.example.org/fleet", SecretRef("password", "env", "STORE"))
ANOTHER = Store("postgresql://new.example.org/fleet")


@pytest.fixture(autouse=True)
def databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(project: str, store: Store) -> Journal:
        return SqliteJournal(tmp_path / f"{project}-{store.address.split('/')[2]}.db")

    monkeypatch.setattr(wiring, "journal_elsewhere", elsewhere)


def project(directory: Path, store: Store | None = None) -> Project:
    """As a command opens it: with a journal of its own."""
    declared = Declaration("web", Recipe(Base("debian", "trixie")), (), store)
    return Project(declared, Home(directory / "home", directory / "run"), directory / "bluestone.toml")


def fill(one: Project, count: int = 3) -> str:
    one.journal.record(NOW, [Entry("a.b", data={"n": n}) for n in range(count)])
    return str(one.journal.head())


def test_a_journal_goes_to_a_database_and_back(tmp_path: Path) -> None:
    head = fill(project(tmp_path))
    shared = project(tmp_path, DATABASE)
    moved = move(shared)
    assert moved is not None
    assert (moved.entries, moved.target) == (3, DATABASE.address)
    assert (shared.state / HERE).exists() is False
    assert (shared.state / f"moved-{HERE}").exists()
    assert state(shared).head == head
    assert located(shared.state) == DATABASE
    assert move(shared) is None
    head = fill(shared, 1)
    back = move(project(tmp_path))
    assert back is not None
    assert back.entries == 4
    assert state(project(tmp_path)).head == head


def test_a_new_project_begins_in_its_database_and_is_found_there(tmp_path: Path) -> None:
    fill(project(tmp_path, DATABASE))
    assert located(project(tmp_path).state) == DATABASE
    assert state(project(tmp_path, DATABASE)).where == DATABASE.address


def test_a_journal_here_is_not_left_behind(tmp_path: Path) -> None:
    fill(project(tmp_path))
    with pytest.raises(Problem, match="is on this machine, and a database is declared") as told:
        opened(project(tmp_path, DATABASE))
    assert "state move" in told.value.mend


def test_a_store_that_is_declared_no_more_is_asked_about(tmp_path: Path) -> None:
    fill(project(tmp_path, DATABASE))
    with pytest.raises(Problem, match=r"is in a database: postgresql://db\.example\.org/fleet"):
        opened(project(tmp_path))


def test_another_database_must_have_the_journal(tmp_path: Path) -> None:
    head = fill(project(tmp_path, DATABASE))
    with pytest.raises(Problem, match=r"that in postgresql://new\.example\.org/fleet is empty"):
        opened(project(tmp_path, ANOTHER))
    assert move(project(tmp_path, ANOTHER)) is not None
    assert state(project(tmp_path, ANOTHER)).head == head
    # Both have it now, as after a database was carried elsewhere by its own means.
    assert state(project(tmp_path, DATABASE)).head == head


def test_nothing_is_moved_while_somebody_acts_or_from_a_broken_journal(tmp_path: Path) -> None:
    here = project(tmp_path)
    fill(here)
    with lead(here), pytest.raises(Problem, match="another bluestone acts"):
        move(project(tmp_path, DATABASE))
    with (
        leading(here.journal, introduce("elsewhere"), take_over=True),
        pytest.raises(Problem, match="a controller leads the fleet"),
    ):
        move(project(tmp_path, DATABASE))
    here.journal._rows("DELETE FROM event WHERE sequence = 2")  # type: ignore[attr-defined]
    with pytest.raises(Problem, match="not whole: entry 2"):
        move(project(tmp_path, DATABASE))
    assert located(here.state) is None
    assert (here.state / HERE).exists()


def test_a_move_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    fill(project(tmp_path))
    shared = project(tmp_path, DATABASE)
    with project(tmp_path).journal.contents() as contents:
        wiring.journal_elsewhere("web", DATABASE).fill(contents)
    assert move(shared) is not None
    assert located(shared.state) == DATABASE


def test_leading_stamps_an_epoch_and_fences_the_one_before(tmp_path: Path) -> None:
    one = project(tmp_path)
    with lead(one):
        assert one.journal.fence.epoch == 1
        # Somebody removed the lock's file: the lock is no proof any more, the epoch is.
        one.lock_file.unlink()
        other = project(tmp_path)
        with lead(other):
            assert other.journal.fence.epoch == 2
            with pytest.raises(Fenced):
                fill(one)
            fill(other)


def test_two_machines_with_two_declarations_do_not_take_turns(tmp_path: Path) -> None:
    one = project(tmp_path, DATABASE)
    far = replace(one, home=Home(tmp_path / "far", tmp_path / "far-run"))
    assert one.home.host != far.home.host
    with lead(one):
        fill(one)
    for _ in range(2):
        with pytest.raises(Problem, match="last led from another machine"), lead(far):
            pass
    with lead(far, take_over=True):
        fill(far)
    with lead(far):
        fill(far)
    with pytest.raises(Problem, match="last led from another machine"), lead(one):
        pass
