"""What servers told of themselves in their log lines, for those that cannot be looked into."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from bluestone.fleet.drift import CLOCK_TOLERANCE
from bluestone.model.drift import Examination, FailedUnit, Unseen
from bluestone.model.path import shown
from bluestone.model.record import Record


class Message(StrEnum):
    """systemd's names for its messages (sd-messages(3)): what became of a unit."""

    FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
    STARTED = "39f53479d3a045ac8e11786248231fbf"
    TRIES_AGAIN = "5eb03494b6584870a536b337290809b3"


ABOUT_UNITS = "/: Failed with result|^Started |^Finished |: Scheduled restart job/"
"""Finds the lines that may be such, by their text."""


def ask_lines(logs: Path, seen: Examination) -> Examination:
    """The examination with what a server's log lines say of its units and its clock, where those were not seen.

    `logs` is the project's log store.
    """
    if not {"units", "clock"} & {gap.aspect for gap in seen.unseen}:
        return seen
    from bluestone.logs.query.archive import Archive
    from bluestone.logs.query.asked import Query

    with closing(Archive(logs)) as archive:
        newest = next(iter(archive.last_lines(seen.server, 1)), None)
        if newest is None:
            return seen
        units = failed_units(archive.search(Query(server=seen.server, grep=ABOUT_UNITS)))
    ahead = (newest.at - seen.at).total_seconds()
    gaps = [gap for gap in seen.unseen if gap.aspect not in ("units", "clock")]
    if ahead <= CLOCK_TOLERANCE:
        gaps.append(Unseen("clock", "its log lines would only show a clock that is ahead"))
    return replace(seen, units=units, clock=ahead if ahead > CLOCK_TOLERANCE else None, unseen=tuple(gaps))


def failed_units(lines: Iterable[Record]) -> tuple[FailedUnit, ...]:
    """The units that failed and did not start again, as far as the lines (the oldest first) tell."""
    failed: dict[str, FailedUnit] = {}
    for line in lines:
        fields = _fields(line.original)
        unit = str(fields.get("UNIT", ""))
        # Any program may write such a line; systemd's own has the process id of the init, which journald vouches for.
        if not unit or fields.get("_PID") != "1":
            continue
        match fields.get("MESSAGE_ID"):
            case Message.FAILED:
                failed[unit] = FailedUnit(shown(unit), shown(str(fields.get("UNIT_RESULT", ""))), line.at)
            case Message.STARTED | Message.TRIES_AGAIN:
                failed.pop(unit, None)
    return tuple(failed.values())


def _fields(original: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(original, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
