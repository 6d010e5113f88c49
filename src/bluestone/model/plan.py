"""A goal, and the plan that leads there."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from bluestone.model.action import Action
from bluestone.model.generation import Generation
from bluestone.model.group import Group
from bluestone.model.inventory import Counters


class Goal(Struct, frozen=True):
    """A group as it shall be: its declaration, and the generation that its servers shall be of.

    `fallback` is the generation to go back to by itself should this one fail; None where there is none. `declared`
    is the count in the declaration where its hours want another now, `because` says why they do.
    """

    group: Group
    generation: Generation
    fallback: Generation | None = None
    declared: int | None = None
    because: str = ""

    def declaration(self) -> str:
        """The digest of the group as it is declared, whatever the hour."""
        declared = self.group.count if self.declared is None else self.declared
        return replace(self.group, count=declared).digest()


class Died(Struct, frozen=True):
    """A server was found dead (or has been down for too long). `counts`: that speaks against its generation."""

    kind: ClassVar[str] = "server.died"
    group: str
    server: str
    reason: str
    counts: bool = True


class WentDown(Struct, frozen=True):
    """An attached server stopped passing its health checks."""

    kind: ClassVar[str] = "server.down"
    group: str
    server: str
    reason: str


class CameUp(Struct, frozen=True):
    """A server that had gone down passes its health checks again."""

    kind: ClassVar[str] = "server.up"
    group: str
    server: str
    reason: str


class Settled(Struct, frozen=True):
    """All servers of the goal's generation serve: the rollout has switched."""

    kind: ClassVar[str] = "rollout.settled"
    group: str
    reason: str
    generation: int = 0
    server: str = ""


class Halted(Struct, frozen=True):
    """The generation failed; its rollout is stopped. `server` is the one that failed, if one did.

    With `declared`, the digest of the group's declaration, the generation is quarantined for as long as that stays.
    """

    kind: ClassVar[str] = "rollout.halted"
    group: str
    reason: str
    server: str = ""
    generation: int = 0
    declared: str = ""


class Returned(Struct, frozen=True):
    """The group goes back by itself, to `generation`, after one that failed: this begins a rollout there."""

    kind: ClassVar[str] = "rollout.started"
    group: str
    reason: str
    generation: int
    count: int
    failed: int
    server: str = ""


class Held(Struct, frozen=True):
    """bluestone holds the rollout, for a reason that is not the generation's: something fails around it, or it cannot
    be told whether the canaries are good.
    """

    kind: ClassVar[str] = "rollout.paused"
    group: str
    reason: str
    generation: int = 0
    server: str = ""


class CanaryBegan(Struct, frozen=True):
    """All canaries serve: from here on they are compared with the old. `baseline` is what was counted before."""

    kind: ClassVar[str] = "canary.began"
    group: str
    reason: str
    generation: int
    baseline: dict[str, Counters]
    server: str = ""


class CanaryPassed(Struct, frozen=True):
    """The canaries are as good as the old: the others may follow."""

    kind: ClassVar[str] = "canary.passed"
    group: str
    reason: str
    generation: int
    server: str = ""


Fact = Died | WentDown | CameUp | Settled | Halted | Returned | Held | CanaryBegan | CanaryPassed
"""Something that planning found out and that the next planning must remember."""


State = Literal["done", "working", "paused", "halted", "returned"]
"""done: nothing is left to do. working: not there yet. paused: held, by a person or by a fault around it. halted: its
generation failed. returned: it did, and the group is back at the generation before."""


class Progress(Struct, frozen=True):
    """How far a group is, and what it waits for (why it was stopped, if it was)."""

    group: str
    state: State
    serving: int
    total: int
    waiting: tuple[str, ...] = ()


class Plan(Struct, frozen=True):
    """What to do now, what was found out, and how far each group is."""

    actions: tuple[Action, ...] = ()
    facts: tuple[Fact, ...] = ()
    progress: tuple[Progress, ...] = ()

    @property
    def done(self) -> bool:
        """Whether every group is where it shall be."""
        return not self.actions and all(group.state == "done" for group in self.progress)

    @property
    def halted(self) -> tuple[Progress, ...]:
        """The groups whose rollout was stopped before its goal."""
        return tuple(group for group in self.progress if group.state in ("halted", "paused", "returned"))
