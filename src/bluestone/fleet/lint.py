"""What every plan must keep to, checked apart from everything that made it. Pure.

`safety` holds back single actions of a strategy. Here a whole plan is held against the world that it was made on, and
a plan that breaks a rule is refused as a whole: it can only come from a mistake of bluestone's own, and doing nothing
is then the one thing that cannot end service. The controller asks before it acts; simulations ask after every plan.
It counts for itself and calls neither the strategies nor `safety`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bluestone.fleet.budget import budget
from bluestone.fleet.findings import way_back
from bluestone.fleet.plan import with_undeclared
from bluestone.fleet.standing import Member, View, view
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss, Enrol
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal, Plan
from bluestone.model.volume import volume_name

_AWAY = (Detach, Dismiss, Destroy)


def lint(decided: Plan, goals: Sequence[Goal], inventory: Inventory, memory: Memory) -> list[str]:
    """What is wrong with a plan for these goals, made on this inventory and memory; empty if nothing is.

    `memory` is the one after the plan's own facts.
    """
    if not decided.actions:
        return []
    if not inventory.complete:
        return ["it acts on an incomplete view"]
    wrong = list(_names(decided.actions, inventory, memory))
    if memory.paused.get(""):
        wrong.append("it acts while everything is paused")
    by_group: dict[str, list[Action]] = {}
    for action in decided.actions:
        by_group.setdefault(action.group, []).append(action)
    for goal in with_undeclared(goals, inventory):
        if actions := by_group.pop(goal.group.name, []):
            wrong += _of_group(actions, view(way_back(goal, memory), inventory, memory), inventory)
    wrong += [
        f"it acts on {group}, of which there is no server" for group, rest in by_group.items() if not _ghosts(rest)
    ]
    return wrong


def _names(actions: Sequence[Action], inventory: Inventory, memory: Memory) -> Iterator[str]:
    """No name of a server is used twice, and no server is acted on twice, or while it is already."""
    servers = [action.server for action in actions]
    once = set(servers)
    if len(once) < len(servers):
        yield from (f"it acts on {name} {times} times at once" for name, times in Counter(servers).items() if times > 1)
    for name in sorted(once & inventory.pending) if inventory.pending else ():
        yield f"it acts on {name} while another action on it is under way"
    for action in actions:
        if isinstance(action, Create) and action.incarnation < memory.next_incarnation:
            yield f"{action.server} has a number that was used before"


def _of_group(actions: Sequence[Action], seen: View, inventory: Inventory) -> Iterator[str]:
    group = seen.goal.group
    members = seen.by_name
    if seen.paused:
        yield f"it acts on {group.name}, which is paused"
    yield from _capacity(actions, seen)
    slots = [action.slot for action in actions if isinstance(action, Create)]
    if slots and (not seen.taken_slots.isdisjoint(slots) or len(set(slots)) < len(slots)):
        yield f"it puts two servers of {group.name} into one slot"
    in_order = group.rollout.strategy == "blue-green" and not seen.pinned
    if seen.pinned:
        yield from _volumes(actions, seen, inventory)
    for action in actions:
        if isinstance(action, Create):
            if seen.halted:
                yield f"{action.server} is of a generation that failed"
            if action.generation != seen.goal.generation:
                yield f"{action.server} is of another generation than {group.name} shall be"
            continue
        member, backend = members.get(action.server), inventory.backend(action.server)
        match action:
            case Enrol():
                if member is None or not (member.new or member.stance == "forgotten"):
                    yield f"{action.server} is enrolled although it has to go"
            case Attach():
                if backend is None or backend.health != "up":
                    yield f"{action.server} gets requests before it is healthy"
                if member is None or not (member.new or member.stance == "forgotten"):
                    yield f"{action.server} gets requests although it has to go"
            case Dismiss():
                if backend is None or backend.admission == "attached":
                    yield f"{action.server} is dismissed while it is attached, or unknown"
                elif backend.sessions and not _may_cut(action, member, backend, seen):
                    yield f"sessions of {action.server} are cut before their time"
            case Destroy():
                if backend is not None:
                    yield f"{action.server} is destroyed while the balancer knows it"
        if in_order and member and isinstance(action, Detach | Dismiss | Destroy):
            yield from _order(action, member, seen)


def _capacity(actions: Sequence[Action], seen: View) -> Iterator[str]:
    """Serving never below the floor, total never above the cap."""
    limits, group = budget(seen), seen.goal.group
    if gone := [action.server for action in actions if isinstance(action, _AWAY)]:
        yield from _floor(gone, seen, limits.floor)
    creates = sum([isinstance(action, Create) for action in actions])
    if not creates:
        return
    idle = sum(m.stance == "leaving" or (m.stance == "drained" and not _sessions(m)) for m in seen.unsettled)
    alive = seen.living - min(idle, limits.leaving)
    if alive + creates > limits.cap:
        yield f"{alive + creates} servers of {group.name} would exist; at most {limits.cap} may"
    living = len(seen.new)
    if living + creates > group.count:
        yield f"{living + creates} servers of the generation of {group.name} would exist; {group.count} are declared"


def _floor(gone: Sequence[str], seen: View, floor: int) -> Iterator[str]:
    """Of those that serve enough are left; whom the balancer lost stays while too few do."""
    serving = {m.name for m in seen.serving if not m.pending}
    if len(serving) < floor:
        for name in gone:
            member = seen.by_name.get(name)
            if member and member.stance == "forgotten":
                yield f"{name}, which the balancer lost, goes while {len(serving)} serve; {floor} must"
    left = len(serving.difference(gone))
    if left < min(floor, len(serving)):
        yield f"{left} servers of {seen.goal.group.name} are left serving; {floor} must"


def _sessions(member: Member) -> int:
    return member.backend.sessions if member.backend else 0


def _volumes(actions: Sequence[Action], seen: View, inventory: Inventory) -> Iterator[str]:
    """A volume is on one server at a time, and one of a slot that is declared."""
    held = {volume: server.name for server in inventory.servers for volume in server.volumes}
    for action in actions:
        if not isinstance(action, Create):
            continue
        if not 1 <= action.slot <= seen.goal.group.count:
            yield f"{action.server} gets the volumes of slot {action.slot}, which is not declared"
        for spec in action.generation.config.volumes:
            name = volume_name(action.group, action.slot, spec.name)
            if name in held:
                yield f"{action.server} gets the volume {name}, which is on {held[name]}"


def _order(action: Action, member: Member, seen: View) -> Iterator[str]:
    """Blue-green: as long as not all of the new serve, none of the newest old ones goes that gets requests; no other
    one that would serve for a way back, unless there were more than two sets without that."""
    if member.stance in ("dead", "leaving") or not member.foreign:
        return
    if sum(m.stance == "serving" for m in seen.new) >= seen.goal.group.count:
        return
    newest = max((m.server.generation for m in seen.old if m.foreign and m.attached), default=None)
    if newest is None:
        newest = max((m.server.generation for m in seen.old if m.foreign), default=0)
    of_newest = member.server.generation == newest
    fit = seen.living + seen.goal.group.count - len(seen.new) <= budget(seen).cap
    if (of_newest and member.attached) or (fit and (of_newest or member.attached)):
        yield f"{action.verb} of {action.server}, which is old, before all of the new serve"


def _may_cut(action: Dismiss, member: Member | None, backend: Backend, seen: View) -> bool:
    if not action.sever:
        return False
    if member is None or member.stance == "dead":
        return True
    policy, since = seen.goal.group.rollout, seen.memory.detached_at.get(backend.server)
    return policy.long_sessions == "cut" and since is not None and seen.at >= since + policy.drain


def _ghosts(actions: Sequence[Action]) -> bool:
    """Whether these only make the balancer forget servers that exist no more."""
    return all(isinstance(action, Detach | Dismiss) for action in actions)
