"""A goal, and the plan that leads there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from bluestone.model.action import Action
from bluestone.model.generation import Generation
from bluestone.model.group import Group


@dataclass(frozen=True)
class Goal:
    """A group as it shall be: its declaration, and the generation that its servers shall be of."""

    group: Group
    generation: Generation


@dataclass(frozen=True)
class Died:
    """A server was found dead (or has been down for too long)."""

    kind: ClassVar[str] = "server.died"
    group: str
    server: str
    reason: str


@dataclass(frozen=True)
class WentDown:
    """An attached server stopped passing its health checks."""

    kind: ClassVar[str] = "server.down"
    group: str
    server: str
    reason: str


@dataclass(frozen=True)
class CameUp:
    """A server that had gone down passes its health checks again."""

    kind: ClassVar[str] = "server.up"
    group: str
    server: str
    reason: str


@dataclass(frozen=True)
class Settled:
    """All servers of the goal's generation serve: the rollout has switched."""

    kind: ClassVar[str] = "rollout.settled"
    group: str
    reason: str
    server: str = ""


@dataclass(frozen=True)
class Halted:
    """The rollout is stopped; `server` is the one that failed, if one did."""

    kind: ClassVar[str] = "rollout.halted"
    group: str
    reason: str
    server: str = ""


Fact = Died | WentDown | CameUp | Settled | Halted
"""Something that planning found out and that the next planning must remember."""


@dataclass(frozen=True)
class Progress:
    """How far a group is: `done` (nothing to do), `working`, or `halted`; and what it waits for."""

    group: str
    state: Literal["done", "working", "halted"]
    serving: int
    total: int
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
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
        """The groups whose rollout was stopped."""
        return tuple(group for group in self.progress if group.state == "halted")
