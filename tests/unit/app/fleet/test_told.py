"""What log lines say of a server that cannot be looked into."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.app.fleet.told import Message, ask_lines, failed_units
from bluestone.logs.query import archive
from bluestone.logs.query.asked import Query
from bluestone.model.drift import Examination, FailedUnit, Unseen
from bluestone.model.record import Identity, Record

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
WHO = Identity("p", "vm-1", "vm", 1, "sha256:0")


def line(message: str, unit: str = "app.service", pid: str = "1", at: datetime = NOW) -> Record:
    fields = {"MESSAGE_ID": message, "UNIT": unit, "UNIT_RESULT": "exit-code", "_PID": pid}
    return Record("c", at, WHO, "init.scope", 3, "text", json.dumps(fields).encode())


def names(*lines: Record) -> list[str]:
    return [unit.name for unit in failed_units(lines)]


def test_a_unit_that_failed_last_has_failed() -> None:
    assert failed_units([line(Message.FAILED)]) == (FailedUnit("app.service", "exit-code", NOW),)
    assert names(line(Message.STARTED), line(Message.FAILED), line(Message.FAILED, "b.service")) == [
        "app.service",
        "b.service",
    ]


@pytest.mark.parametrize("after", [Message.STARTED, Message.TRIES_AGAIN])
def test_a_unit_that_started_since_or_will_has_not(after: Message) -> None:
    assert names(line(Message.FAILED), line(after)) == []


def test_only_the_init_is_believed() -> None:
    assert names(line(Message.FAILED, pid="77")) == []
    assert names(line(Message.FAILED), line(Message.STARTED, pid="77")) == ["app.service"]


def test_lines_that_are_none_of_the_journals_say_nothing() -> None:
    assert failed_units([Record("c", NOW, WHO, "x", 3, "raw", b"raw")]) == ()


class Lines:
    """An archive of these lines."""

    lines: tuple[Record, ...] = ()

    def __init__(self, _: Path) -> None:
        pass

    def last_lines(self, server: str, count: int) -> tuple[Record, ...]:
        return self.lines[-count:]

    def search(self, _: Query) -> tuple[Record, ...]:
        return self.lines

    def close(self) -> None:
        pass


UNSEEN = tuple(Unseen(aspect, "a machine") for aspect in ("files", "units", "clock"))


def told(monkeypatch: pytest.MonkeyPatch, *lines: Record) -> Examination:
    monkeypatch.setattr(archive, "Archive", type("Some", (Lines,), {"lines": lines}))
    return ask_lines(Path("/nowhere"), Examination("vm-1", NOW, unseen=UNSEEN))


def test_lines_fill_in_what_was_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = told(monkeypatch, line(Message.FAILED))
    assert [unit.name for unit in seen.units] == ["app.service"]
    assert seen.clock is None
    assert {gap.aspect for gap in seen.unseen} == {"files", "clock"}


def test_a_line_from_the_future_shows_a_clock_that_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = told(monkeypatch, line(Message.STARTED, at=NOW + timedelta(minutes=2)))
    assert seen.clock == 120
    assert {gap.aspect for gap in seen.unseen} == {"files"}


def test_a_server_that_said_nothing_yet_stays_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch).unseen == UNSEEN


def test_lines_are_not_asked_where_all_was_seen() -> None:
    seen = Examination("web-1", NOW)
    assert ask_lines(Path("/nowhere"), seen) is seen
