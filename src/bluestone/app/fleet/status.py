"""What is there now: groups, servers, and what runs beside them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from msgspec import Struct

from bluestone.app import wiring
from bluestone.app.fleet.goals import current, no_generation, retired_goals
from bluestone.app.fleet.strays import Stray, bystanders, strays
from bluestone.app.project import Project
from bluestone.fleet.controller.observe import Lookout, observe, services_of
from bluestone.fleet.controller.recall import START_OR_END, recall
from bluestone.fleet.controller.strays import Register
from bluestone.fleet.findings import hold
from bluestone.fleet.standing import View, view
from bluestone.model.group import Group
from bluestone.model.inventory import Inventory
from bluestone.model.plan import Goal
from bluestone.model.server import Server


class ServerStatus(Struct, frozen=True):
    """A server now. `stance` is one of `fleet.standing.Stance`."""

    name: str
    group: str
    slot: int
    generation: int
    image: str
    stance: str
    sessions: int
    created_at: datetime
    address: str
    detail: str = ""


class GroupStatus(Struct, frozen=True):
    """A group now. `rollout` is how its last rollout stands (`started`, `finished`, `halted`, `paused`, or `none`).

    `returned`: it finished at an older generation, as a newer one failed; `note` says why. `held` says what is not done
    for now, as it failed before or as too much dies, and until when. `hours` is how many servers the group's hours last
    wanted, and why; empty if it has none.
    """

    name: str
    declared: int
    serving: int
    total: int
    generation: int
    strategy: str
    ports: tuple[str, ...]
    rollout: str
    note: str
    held: str = ""
    hours: str = ""


class Status(Struct, frozen=True):
    """A project now. `gaps` says what could not be seen, `strays` what is there and nobody declared."""

    project: str
    at: datetime
    groups: tuple[GroupStatus, ...]
    servers: tuple[ServerStatus, ...]
    balancer_running: bool
    receiver_running: bool
    gaps: tuple[str, ...]
    strays: tuple[Stray, ...] = ()


def status(project: Project) -> Status:
    """Observe everything once. Changes nothing."""
    goals = [_current_goal(project, group) for group in project.groups] + retired_goals(project)
    names = {goal.group.provider for goal in goals} | project.journal.providers()
    providers = wiring.providers(project, names)
    balancer = wiring.balancer(project)
    running = balancer.is_running()
    services = services_of(goals) if running else ()
    register = Register(project.journal)

    def look() -> Inventory:
        return register.part(observe(Lookout(providers), balancer, services, datetime.now(UTC)))

    # Each answer of a provider takes longer than all the rest: both are waited for at the same time.
    with ThreadPoolExecutor(max_workers=1) as aside:
        beside = aside.submit(bystanders, providers.values())
        inventory = look()
        if inventory.gaps:
            # Balancer and providers were not asked at one moment: between them somebody may have made a server.
            inventory = look()
    memory = recall(
        project.journal, [goal.group.name for goal in goals], [s.name for s in inventory.servers], inventory.at
    )
    views = [view(goal, inventory, memory) for goal in goals]
    return Status(
        project=project.name,
        at=inventory.at,
        groups=tuple(_group(project, seen) for seen in views),
        servers=tuple(server for seen in views for server in _servers(seen)),
        balancer_running=running,
        receiver_running=wiring.receiver(project).answers(),
        gaps=inventory.gaps,
        strays=tuple(strays(inventory, {group.name for group in project.groups}, register, beside.result())),
    )


def _current_goal(project: Project, group: Group) -> Goal:
    """The group at the generation that it was last led to."""
    number = current(project, group.name)
    found = project.journal.generation_number(group.name, number) if number else None
    return Goal(group, found or no_generation(group))


def _group(project: Project, seen: View) -> GroupStatus:
    group = seen.goal.group
    last = project.journal.last(START_OR_END, group=group.name)
    failed = _failed(seen, current(project, group.name)) if last and last.kind == "rollout.finished" else ""
    return GroupStatus(
        name=group.name,
        declared=group.count,
        serving=len(seen.serving),
        total=len(seen.members),
        generation=current(project, group.name),
        strategy=group.rollout.strategy,
        ports=tuple(f"{port.bind}:{port.listen}" for port in group.ports),
        rollout="returned" if failed else last.kind.removeprefix("rollout.") if last else "none",
        note=failed or (last.message if last and last.kind in ("rollout.halted", "rollout.paused") else ""),
        held=hold(seen).reason,
        hours=_hours(project, group),
    )


def _hours(project: Project, group: Group) -> str:
    """What whoever leads last made of the group's hours."""
    if group.hours is None:
        return ""
    from bluestone.app.hours.hours import CHANGED

    last = project.journal.last((CHANGED,), group=group.name)
    return last.message if last else ""


def _failed(seen: View, number: int) -> str:
    """Why a newer generation than the current one may not be tried again, if one may not."""
    quarantined = seen.memory.quarantined.get(seen.goal.group.name, {})
    newer = [f"generation {n} failed: {why.reason}" for n, why in quarantined.items() if n > number]
    return newer[-1] if newer else ""


def _servers(seen: View) -> list[ServerStatus]:
    return [
        ServerStatus(
            name=m.name,
            group=m.server.group,
            slot=m.server.slot,
            generation=m.server.generation,
            image=m.server.image,
            stance=m.stance,
            sessions=m.backend.sessions if m.backend else 0,
            created_at=m.server.created_at,
            address=_address(m.server),
            detail=m.server.detail,
        )
        for m in seen.members
    ]


def _address(server: Server) -> str:
    """`host:port`, for each port that is reached."""
    if server.endpoint is None:
        return ""
    return ",".join(f"{server.endpoint.host}:{port}" for port in server.endpoint.ports.values())
