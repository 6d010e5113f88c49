"""What a command line asks of a daemon, and what it is told: JSON, a message to a line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bluestone.app.fleet.up import Arrival
from bluestone.fleet.controller.journal import Entry
from bluestone.model.plan import Progress
from bluestone.model.problem import Place, Problem, Problems

Verb = Literal["up", "patch", "rollback", "down", "stand-by"]
"""`patch`: roll out what was prepared. `stand-by`: do nothing for as long as whoever asks stays connected."""

VERSION = "Bluestone-Version"
"""Header by which a command line says of which version it is."""

MAX_ASK = 1 << 20
"""Bytes; a few secrets are the most of it."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command: by whom, on which declaration, with the variables that its secrets come from."""

    verb: Verb
    by: str
    file: str
    plan_id: str | None = None
    exact: bool = False
    groups: tuple[str, ...] = ()
    take_over: bool = False
    variables: dict[str, str] = {}

    def __repr__(self) -> str:
        """Without the variables: they are secrets."""
        return f"{self.verb} by {self.by}"


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A line about building."""

    text: str


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """A journal entry that was just written."""

    at: datetime
    kind: str
    group: str
    server: str
    message: str
    data: dict[str, Any]

    @classmethod
    def of(cls, at: datetime, entry: Entry) -> Recorded:
        """The message of an entry."""
        return cls(at, entry.kind, entry.group, entry.server, entry.message, dict(entry.data))

    def entry(self) -> Entry:
        """The entry that it is of."""
        return Entry(self.kind, self.group, self.server, self.message, self.data)


class Stands(msgspec.Struct, frozen=True, tag="stands"):
    """How far each group is, whenever that changes."""

    progress: tuple[Progress, ...]


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    """The daemon stands by from now on."""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The command has ended."""

    arrival: Arrival


class Wrong(msgspec.Struct, frozen=True):
    """A problem's parts."""

    what: str
    mend: str
    left: str
    place: Place | None


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The command could not be done. `whole`: it was one problem, not a list of them."""

    problems: tuple[Wrong, ...]
    whole: bool = True

    @classmethod
    def of(cls, error: Problem | Problems) -> Failed:
        """The message of an error."""
        found: Sequence[Problem] = error.problems if isinstance(error, Problems) else (error,)
        return cls(tuple(Wrong(p.what, p.mend, p.left, p.place) for p in found), isinstance(error, Problem))

    def error(self) -> Problem | Problems:
        """The error again, as it was raised in the daemon."""
        found = [Problem(each.what, mend=each.mend, left=each.left, place=each.place) for each in self.problems]
        return found[0] if self.whole else Problems(found)


Message = Said | Recorded | Stands | Granted | Ended | Failed

LAST = (Ended, Failed)
"""The messages after which no other comes."""


def encode(message: Message | Ask) -> bytes:
    """One line, with its end."""
    return msgspec.json.encode(message, enc_hook=_as_text) + b"\n"


def decode(line: bytes) -> Message:
    """A message from its line. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(line, type=Message)


def _as_text(value: object) -> str:
    """What JSON has no form for: paths."""
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value)} has no form in JSON")
