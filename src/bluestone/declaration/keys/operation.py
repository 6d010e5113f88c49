"""The keys of `[serve]` and `[notify]`: what `bluestone serve` does besides keeping servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from bluestone.declaration import shorthand
from bluestone.declaration.forms import OrShort, Written
from bluestone.declaration.keys.table import Table, key, lasting
from bluestone.declaration.texts import addresses, naming
from bluestone.model.notify import MUST_SEE, Notable

WebHookAddress = Annotated[
    str, Written(addresses.webhook, "http(s) address, env:VARIABLE or file:PATH", addresses.WEBHOOK)
]


class ServeTable(Table):
    """How `bluestone serve` goes about it."""

    every: Annotated[timedelta, lasting("1s", "10m")] = key(
        "The longest time between two looks at the servers; most changes are seen at once.",
        example="30s",
        default="10s",
    )
    listen: Annotated[str, Written(addresses.loopback, "ADDRESS:PORT", addresses.ADDRESS)] | None = key(
        "The loopback address at which it answers `/healthz`, `/readyz` and `/metrics`. Left out: only at its socket.",
        example="127.0.0.1:9464",
        default=None,
    )


class WebHookTable(Table):
    """Where each event is posted, as JSON."""

    address: Annotated[
        str, Written(addresses.webhook, "http(s) address, env:VARIABLE or file:PATH", addresses.WEBHOOK)
    ] = key(
        "What it is posted to; `env:VARIABLE` or `file:PATH` where the address is a secret itself.",
        example="https://chat.example.org/hooks/ops",
    )
    token: Annotated[str, Written(addresses.secret, "env:VARIABLE or file:PATH", addresses.SECRET)] | None = key(
        "Where the bearer token that goes with it comes from: `env:VARIABLE` or `file:PATH`.",
        example="file:/etc/bluestone/hook-token",
        default=None,
    )


class NotifyTable(Table):
    """Whom `bluestone serve` tells of what happens."""

    webhook: Annotated[WebHookTable, OrShort(shorthand.webhook, "address", addresses.WEBHOOK)] | None = key(
        "A web hook that each event is posted to.", example="https://chat.example.org/hooks/ops", default=None
    )
    exec: list[Annotated[str, Written(naming.argument, "argument")]] = key(
        "A program that is run for each event, with its arguments; it gets the event as JSON on standard input.",
        example=["/usr/local/bin/page", "--team", "ops"],
        default=[],
    )
    events: list[Notable] = key(
        "Which events are told. `unseen`: it cannot be seen how things stand. `quarantined`: a generation that failed "
        "is not tried again. `missed`: servers were not up at an opening. `budget`: a month's is spent, or soon will "
        "be. `patched`: no server is exposed any more. `unpatched`: a patch was stopped, or undone.",
        example=["halted", "returned", "died"],
        default=list(MUST_SEE),
    )
