"""The keys of `[patching]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from bluestone.declaration.keys.table import Table, key, lasting


class PatchingTable(Table):
    """When servers are replaced though nothing that they are made of has changed."""

    rebuild: Literal["daily", "weekly", "monthly"] | None = key(
        "How often every server is replaced at least: no server is older than a day, 7 or 30 days.",
        example="weekly",
        default=None,
    )
    max_age: Annotated[timedelta, lasting("1h", "400d")] | None = key(
        "The oldest that a server may be. It is replaced as its group's rollout says, within its limits.",
        example="7d",
        default=None,
    )
