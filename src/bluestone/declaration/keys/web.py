"""The keys of `[web]`."""

from __future__ import annotations

from typing import Annotated

from bluestone.declaration.forms import Written
from bluestone.declaration.keys.table import Table, key
from bluestone.declaration.texts import addresses
from bluestone.model.web import USUAL


class WebTable(Table):
    """Where `bluestone web` serves its page and API."""

    listen: Annotated[str, Written(addresses.listen, "ADDRESS:PORT")] = key(
        "Where it listens. Off the loopback it speaks TLS, and only to users: see `bluestone users add`.",
        example="192.0.2.10:8443",
        default=USUAL,
    )
    names: list[Annotated[str, Written(addresses.host_name, "host name or IP address")]] = key(
        "Host names by which browsers reach it: for its certificate, and as it answers to no others.",
        example=["logs.example.org"],
        default=[],
    )
    certificate: str | None = key(
        "A PEM file with its certificate and key. Left out: one of the authority that the log receiver has.",
        example="tls/web.pem",
        default=None,
    )
