"""Who is told of what happens, as declared."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from bluestone.model.group import SecretRef

Notable = Literal[
    "halted",
    "returned",
    "paused",
    "tainted",
    "quarantined",
    "unseen",
    "seen",
    "died",
    "started",
    "finished",
    "missed",
    "budget",
    "patched",
    "unpatched",
]
"""Sorts of events that a person may want to hear of."""

MUST_SEE: tuple[Notable, ...] = (
    *("halted", "returned", "paused", "tainted", "quarantined", "unseen", "missed", "budget", "unpatched"),
)
"""Those that a person must hear of."""


class WebHook(Struct, frozen=True):
    """An address that events are posted to, or where it is kept; and where the token for it is."""

    address: str | SecretRef
    token: SecretRef | None = None


class NotifyPolicy(Struct, frozen=True):
    """`[notify]`: who is told of events (a web hook, a program with its arguments), and of which."""

    webhook: WebHook | None = None
    exec: tuple[str, ...] = ()
    events: tuple[Notable, ...] = MUST_SEE


class ServePolicy(Struct, frozen=True):
    """`[serve]`: how often the daemon looks at the world, and the loopback address where it tells its figures."""

    every: timedelta = timedelta(seconds=10)
    listen: str | None = None
