"""The keys of `[state]`."""

from __future__ import annotations

from typing import Annotated

from bluestone.declaration.forms import Written
from bluestone.declaration.keys.table import Table, key
from bluestone.declaration.texts import addresses


class StateTable(Table):
    """Where bluestone keeps what it has done, and who may act."""

    store: Annotated[str, Written(addresses.store, "address of a PostgreSQL database", addresses.STORE)] | None = key(
        "A PostgreSQL database for the journal, which machines that lead the same fleet share: "
        "`postgresql://USER@HOST:PORT/DATABASE`, without a password. Left out: a file on this machine.",
        example="postgresql://bluestone@db.example.org/fleet",
        default=None,
    )
    password: Annotated[str, Written(addresses.secret, "env:VARIABLE or file:PATH", addresses.SECRET)] | None = key(
        "Where the database's password comes from: `env:VARIABLE` or `file:PATH`. Left out: where libpq finds it, "
        "such as `~/.pgpass`.",
        example="file:/etc/bluestone/store-password",
        default=None,
    )
