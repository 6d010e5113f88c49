"""The keys of `[logs]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from bluestone.declaration import quantities
from bluestone.declaration.forms import Written
from bluestone.declaration.keys.table import Name, Table, key, lasting

Age = Annotated[timedelta, lasting("1h", "36500d")]


class LogsTable(Table):
    """How log lines are kept."""

    keep: Age | None = key(
        "How long lines are kept; `bluestone logs hold` keeps some for longer. Left out: for ever.",
        example="90d",
        default=None,
    )
    size: (
        Annotated[int, Written(quantities.size_between("16MiB", "1024TiB"), "size, 16MiB to 1024TiB", quantities.SIZE)]
        | None
    ) = key(
        "How much disk they may take; beyond, the oldest go. Left out: as much as there is.",
        example="50GB",
        default=None,
    )
    groups: dict[Name, Age] = key(
        "How long the lines of a group are kept, where that differs.", example={"web": "30d"}, default={}
    )
