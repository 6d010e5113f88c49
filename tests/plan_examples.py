"""Small worlds for single decisions of the planner."""

from __future__ import annotations

from datetime import UTC, datetime

from bluestone.model.action import Action
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group, Port, RolloutPolicy
from bluestone.model.ids import Digest, server_name
from bluestone.model.inventory import Admission, Backend
from bluestone.model.plan import Goal
from bluestone.model.server import Endpoint, Phase, Server

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
CONFIG = ServerConfig("podman", ports=(80,))


def image(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


def goal(policy: RolloutPolicy, *, number: int = 2, count: int = 1) -> Goal:
    group = Group("web", count=count, ports=(Port(8080, 80),), rollout=policy)
    return Goal(group, Generation("web", number, image(number), CONFIG))


def server(number: int, slot: int, incarnation: int, phase: Phase = "running") -> Server:
    return Server(
        name=server_name("web", slot, image(number), incarnation),
        group="web",
        slot=slot,
        incarnation=incarnation,
        generation=number,
        image=image(number),
        config=CONFIG.digest(),
        phase=phase,
        created_at=NOW,
        endpoint=Endpoint("10.0.0.1", {80: 80}),
    )


def backend(of: Server, admission: Admission = "attached", health: str = "up", sessions: int = 0) -> Backend:
    return Backend(of.name, "web", admission, health, sessions)  # type: ignore[arg-type]


def steps(actions: tuple[Action, ...]) -> list[tuple[str, str]]:
    return [(action.verb, action.server) for action in actions]
