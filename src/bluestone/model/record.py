"""A log line."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Identity:
    """Who wrote a line, as the receiver of the line knows it from the writer's credential."""

    project: str
    server: str
    group: str
    generation: int
    image: str


@dataclass(frozen=True)
class Record:
    """A log line as it is stored. `cursor` names it uniquely; `severity` is syslog's, 0 (worst) to 7.

    `original` is the line as it came: the journal's JSON, with every field.
    """

    cursor: str
    at: datetime
    identity: Identity
    unit: str
    severity: int
    message: str
    original: bytes = field(default=b"", repr=False)
