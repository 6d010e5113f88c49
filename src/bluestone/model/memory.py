"""What the journal remembers and no observation can show."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

from bluestone.model.inventory import Counters


class Failures(Struct, frozen=True):
    """How often in a row one verb failed for a group, when last, and what the last error said."""

    count: int
    last_at: datetime
    error: str
    verb: str = ""


class Canary(Struct, frozen=True):
    """When the canaries of a generation all served, and what the balancer had counted by then, by server."""

    generation: int
    began_at: datetime
    baseline: dict[str, Counters] = field(default_factory=dict)


class Quarantine(Struct, frozen=True):
    """Why a generation may not be tried again. `declared` is the digest of its group's declaration then."""

    reason: str
    declared: str


class Taint(Struct, frozen=True):
    """Why a server must be replaced although its generation is right; `cause` is one word (`asked`, `drift`)."""

    cause: str
    reason: str


class Streak(Struct, frozen=True):
    """How many servers of a group died one after the other, without a calm in between, and when the last one did."""

    deaths: int
    last_at: datetime


class Memory(Struct, frozen=True):
    """Facts from the journal that planning needs. All keys are server or group names.

    Of servers: `next_incarnation` is the number for the next one's name. `enrolled_at`, `attached_at` (or when it last
    came up again), `detached_at` and `down_since` are instants. `condemned` names those that bluestone itself began to
    destroy, `died` those whose death is already counted in `deaths` (per group, lately, in its rollout), `taints` those
    that must be replaced.

    Of a group's rollout: `started_at` is when it began, `settled_at` when all servers of the goal's generation were
    first seen serving; `halted` says why it was stopped, `failures` what keeps failing, `streaks` how many die one
    after the other, `paused_since` since when bluestone itself holds it for a reason that is not the generation's,
    `canary` how its first servers stand, `full` for which sizes and zones there was no room, and when last.

    Of a group: `passed` are the generations whose canaries passed, `quarantined` those that failed;
    `paused` says who wants nothing done to it, and why, `resumed_at` when such a pause last ended.
    """

    next_incarnation: int = 1
    enrolled_at: dict[str, datetime] = field(default_factory=dict)
    attached_at: dict[str, datetime] = field(default_factory=dict)
    detached_at: dict[str, datetime] = field(default_factory=dict)
    down_since: dict[str, datetime] = field(default_factory=dict)
    condemned: frozenset[str] = frozenset()
    died: frozenset[str] = frozenset()
    taints: dict[str, Taint] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    started_at: dict[str, datetime] = field(default_factory=dict)
    settled_at: dict[str, datetime] = field(default_factory=dict)
    halted: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failures] = field(default_factory=dict)
    streaks: dict[str, Streak] = field(default_factory=dict)
    paused_since: dict[str, datetime] = field(default_factory=dict)
    canary: dict[str, Canary] = field(default_factory=dict)
    full: dict[str, dict[str, datetime]] = field(default_factory=dict)
    passed: dict[str, frozenset[int]] = field(default_factory=dict)
    quarantined: dict[str, dict[int, Quarantine]] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    resumed_at: dict[str, datetime] = field(default_factory=dict)
