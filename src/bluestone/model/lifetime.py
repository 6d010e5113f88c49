"""From when to when a server ran, and on which image."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from bluestone.model.ids import Digest


class Lifetime(Struct, frozen=True, gc=False):
    """A server of a project, on its one image. `began` is when its creation was; `ended` is None while it exists."""

    project: str
    server: str
    group: str
    image: Digest
    began: datetime
    ended: datetime | None = None


class Change(Struct, frozen=True):
    """Something that begins, proves or ends a server's lifetime. `group` and `image` are told by what begins it."""

    kind: Literal["began", "seen", "ended"]
    server: str
    at: datetime
    group: str = ""
    image: Digest | None = None
