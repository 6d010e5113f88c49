"""An entry of bluestone's own journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct, field


class Event(Struct, frozen=True):
    """Something that bluestone did, or saw. `kind` is `noun.verb`; `sequence` counts from 1 without gaps."""

    sequence: int
    at: datetime
    kind: str
    group: str = ""
    server: str = ""
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)
