"""Where the web page is served, as declared."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

USUAL = "127.0.0.1:8700"


class WebPolicy(Struct, frozen=True):
    """`listen` is `ADDRESS:PORT`; off the loopback TLS is spoken.

    `names` are those under which browsers reach it. `certificate` is a PEM file with a certificate and its key; without
    one the project's own authority issues it.
    """

    listen: str = USUAL
    names: tuple[str, ...] = ()
    certificate: Path | None = None
