"""What the journal remembers and no observation can show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Failures:
    """How often in a row one verb failed for a group, when last, and what the last error said."""

    count: int
    last_at: datetime
    error: str


@dataclass(frozen=True)
class Memory:
    """Facts from the journal that planning needs. All keys are server or group names.

    `next_incarnation` is the number for the next server's name. `detached_at` and `down_since` are instants.
    `condemned` names servers that bluestone itself began to destroy. `died` names servers whose death is already
    counted in `deaths` (per group, since its rollout began). `started_at` is when each group's rollout began,
    `settled_at` when all servers of the goal's generation were first seen serving; `halted` says why a group's
    rollout was stopped.
    """

    next_incarnation: int = 1
    detached_at: dict[str, datetime] = field(default_factory=dict)
    down_since: dict[str, datetime] = field(default_factory=dict)
    condemned: frozenset[str] = frozenset()
    died: frozenset[str] = frozenset()
    deaths: dict[str, int] = field(default_factory=dict)
    started_at: dict[str, datetime] = field(default_factory=dict)
    settled_at: dict[str, datetime] = field(default_factory=dict)
    halted: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failures] = field(default_factory=dict)
