"""How log lines are taken in and kept, as declared."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct, field


class LogKeeping(Struct, frozen=True):
    """For how long, and in how many bytes of disk; `groups` have an age of their own. None is without a limit.

    `also` are other stores (absolute paths) in which is searched as well.
    """

    keep: timedelta | None = None
    size: int | None = None
    groups: Mapping[str, timedelta] = field(default_factory=dict)
    also: tuple[str, ...] = ()


class LogListening(Struct, frozen=True):
    """Where lines of others than servers are taken in, by TLS: `ADDRESS:PORT`, or None for nowhere.

    `names` are the host names and addresses by which senders reach them.
    """

    http: str | None = None
    syslog: str | None = None
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.http or self.syslog)


class LogSink(Struct, frozen=True):
    """Where acknowledged lines go besides the store. `options` are what its kind asks for."""

    name: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict)
