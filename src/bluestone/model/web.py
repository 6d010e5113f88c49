"""Where the web page is served, as declared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

USUAL = "127.0.0.1:8700"


@dataclass(frozen=True)
class WebPolicy:
    """`listen` is `ADDRESS:PORT`; off the loopback TLS is spoken.

    `names` are those under which browsers reach it. `certificate` is a PEM file with a certificate and its key; without
    one the project's own authority issues it.
    """

    listen: str = USUAL
    names: tuple[str, ...] = ()
    certificate: Path | None = None
