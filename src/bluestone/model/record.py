"""A log line."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Identity(Struct, frozen=True):
    """Who wrote a line, as the receiver of the line knows it from the writer's credential."""

    project: str
    server: str
    group: str
    generation: int
    image: str


class Record(Struct, frozen=True):
    """A log line as it is stored. `cursor` names it uniquely; `severity` is syslog's, 0 (worst) to 7.

    `original` is the line as it came: the journal's JSON, with every field.
    """

    cursor: str
    at: datetime
    identity: Identity
    unit: str
    severity: int
    message: str
    original: bytes = b""
