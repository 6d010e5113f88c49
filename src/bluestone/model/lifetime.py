"""From when to when a server ran, and on which image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bluestone.model.ids import Digest


@dataclass(frozen=True)
class Lifetime:
    """A server of a project, on its one image. `began` is when its creation was; `ended` is None while it exists."""

    project: str
    server: str
    group: str
    image: Digest
    began: datetime
    ended: datetime | None = None


@dataclass(frozen=True)
class Change:
    """Something that begins, proves or ends a server's lifetime. `group` and `image` are told by what begins it."""

    kind: Literal["began", "seen", "ended"]
    server: str
    at: datetime
    group: str = ""
    image: Digest | None = None
