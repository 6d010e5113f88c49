"""What an observation shows for the first time, whose fault it is, and what follows. Pure.

A generation is blamed for what only it can have caused: its servers do not become healthy, die as soon as they run,
or fail as canaries. It is then quarantined, and the group goes back by itself to the generation before; from there it
never goes back any further. What fails around the servers (calls to a provider or balancer) only holds the group until
it works again.

Where there is no generation to go back to, a failure only ends the rollout, and the next one tries again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from bluestone.fleet import brake, canary, room
from bluestone.fleet.standing import Member, View, quarantine
from bluestone.fleet.strategies import steps
from bluestone.model.group import Amount
from bluestone.model.memory import Failures, Memory
from bluestone.model.plan import CameUp, Died, Fact, Goal, Halted, Held, Settled, WentDown

MAX_FAILURES = 3
"""How many failed calls in a row hold a group: from then on each is only a probe whether it works again."""

FIRST_RETRY = timedelta(seconds=1)
FIRST_PROBE = timedelta(minutes=1)
LONGEST_RETRY = timedelta(minutes=10)
"""Waits after a failed call; each is twice as long as the one before."""

MIN_DEATHS = 3
"""How many deaths during one rollout stop it, for a small group; a larger one may lose its count."""


TOLD_AGAIN = timedelta(hours=1)
"""How long after a person was told that there is no room that is said again, if there is none still."""

NO_ROOM = "there is no room for its servers, in no size and zone that it may have"


class Hold(Struct, frozen=True):
    """What is not done now although it were next: actions of `verbs`. `lasting` is whether somebody should know."""

    verbs: frozenset[str] = frozenset()
    reason: str = ""
    lasting: bool = False


NOT_HELD = Hold()


def way_back(goal: Goal, memory: Memory) -> Goal:
    """The goal itself, or the generation before if the goal's has failed and there is a way back.

    There is no canary on that way: the generation has served before.
    """
    if goal.fallback is None or goal.group.rollout.on_failure != "rollback" or not quarantine(goal, memory):
        return goal
    group = replace(goal.group, rollout=replace(goal.group.rollout, canary=Amount(0)))
    return Goal(group, goal.fallback, declared=goal.declared, because=goal.because)


def findings(seen: View) -> tuple[Fact, ...]:
    """What this observation shows for the first time."""
    facts: list[Fact] = list(_of_servers(seen)) if seen.unsettled or seen.memory.down_since else []
    group = seen.goal.group
    if group.count and group.name not in seen.memory.settled_at and all_new_serve(seen):
        text = f"all {group.count} servers of the generation serve"
        facts.append(Settled(group.name, text, seen.goal.generation.number))
    if seen.paused or seen.halted:
        return tuple(facts)
    fresh = sum([fact.counts for fact in facts if isinstance(fact, Died)]) if facts else 0
    if halt := _why_halt(seen, fresh):
        facts.append(halt)
    else:
        facts += canary.findings(seen)
    if held := _newly_held(seen):
        facts.append(held)
    return tuple(facts)


def hold(seen: View) -> Hold:
    """What is not done now, as it failed before or as too much dies."""
    memory, group = seen.memory, seen.goal.group.name
    if not (memory.failures or memory.full or memory.streaks or memory.paused_since):
        return NOT_HELD
    failures = memory.failures.get(group)
    if failures and failures.count and seen.at < (until := _next_try(failures)):
        again = f"{failures.error}; tried again at {until:%H:%M:%S} UTC"
        if failures.count >= MAX_FAILURES:
            text = f"acting failed {failures.count} times in a row: {again}"
            return Hold(frozenset({failures.verb or "create"}), text, lasting=True)
        return Hold(frozenset({failures.verb or "create"}), again)
    if again_at := room.full_until(seen):
        text = f"{NO_ROOM}; tried again at {again_at:%H:%M:%S} UTC"
        return Hold(frozenset({"create"}), text, lasting=True)
    if (stop := _braked(seen)) and seen.at < stop.until:
        return Hold(frozenset({"create"}), f"{stop.why}: the next is started at {stop.until:%H:%M:%S} UTC", stop.told)
    if canary.awaited(seen) and group in memory.paused_since:
        text = "it cannot be told whether the canaries are good: `bluestone resume` goes on with them"
        return Hold(reason=text, lasting=True)
    return NOT_HELD


def all_new_serve(seen: View) -> bool:
    """Whether all declared servers serve, and no more."""
    count = seen.goal.group.count
    return len(seen.new) == count <= len(seen.serving) and all(m.stance == "serving" for m in seen.new)


def _of_servers(seen: View) -> Iterator[Fact]:
    group, memory = seen.goal.group, seen.memory
    # What also takes servers of another generation away speaks against no generation.
    common = any(_is_fresh_death(m, memory) and m.foreign for m in seen.dead) if seen.dead else False

    came_up = [m for m in seen.serving if m.name in memory.down_since and not m.pending] if memory.down_since else []
    for m in (*seen.unsettled, *came_up):
        match m.stance:
            case "dead" if _is_fresh_death(m, memory):
                yield _died(seen, m, m.server.detail or "it ended by itself", common=common)
            case "down":
                since = memory.down_since.get(m.name)
                if since is None:
                    yield WentDown(group.name, m.name, f"it fails its health check{_how(m)}")
                elif seen.at >= since + group.rollout.progress:
                    why = f"it failed its health check for {group.rollout.progress}{_how(m)}"
                    yield _died(seen, m, why, common=common)
            case "booting" if group.name in memory.settled_at and _is_late(seen, m) and m not in steps.surplus(seen):
                # Before it has served, the same ends its rollout instead.
                why = f"it was not healthy within {group.rollout.progress}{_how(m)}"
                yield _died(seen, m, why, common=common)
            case "serving" | "proving" if m.name in memory.down_since:
                yield CameUp(group.name, m.name, "it passes its health check again")


def _died(seen: View, member: Member, why: str, *, common: bool) -> Died:
    """A death, and whether it speaks against the generation: not if the cause is `common` to others as well."""
    group = seen.goal.group.name
    counts = member.new and not common and _born_in_rollout(member, seen.memory, group)
    return Died(group, member.name, why, counts)


def _how(member: Member) -> str:
    """How its health check fails, if that is known."""
    return f": {member.backend.failure}" if member.backend and member.backend.failure else ""


def _is_fresh_death(member: Member, memory: Memory) -> bool:
    name = member.name
    return member.server.phase == "dead" and name not in memory.died and name not in memory.condemned


def _born_in_rollout(member: Member, memory: Memory, group: str) -> bool:
    return member.server.created_at >= memory.started_at.get(group, member.server.created_at)


def _why_halt(seen: View, fresh_deaths: int) -> Halted | None:
    group, memory, number = seen.goal.group, seen.memory, seen.goal.generation.number
    if group.name in memory.settled_at:
        return None  # It has served as a whole: what happens to it since then is not its own fault.
    deaths = memory.deaths.get(group.name, 0) + fresh_deaths
    if deaths >= _bearable(seen):
        last = next((m.name for m in reversed(seen.dead) if m.server.phase == "dead"), "")
        return Halted(group.name, f"{deaths} servers died during this rollout", last, number, canary.declared_as(seen))
    for m in seen.unsettled:
        if m.stance == "booting" and _is_late(seen, m) and m not in steps.surplus(seen):
            why = f"{m.name} was not healthy within {group.rollout.progress.total_seconds():g} s{_how(m)}"
            return Halted(group.name, why, m.name, number, canary.declared_as(seen))
    return None


def _is_late(seen: View, member: Member) -> bool:
    """Whether a server that boots has had its time to become healthy."""
    return member.new and not member.pending and seen.at >= _began(seen, member) + seen.goal.group.rollout.progress


def _began(seen: View, member: Member) -> datetime:
    """Since when a server may be expected to become healthy.

    A server that is kept for a rollback is as old as it is, but has its time from the rollback's beginning; one that
    nobody could enrol, as bluestone was blind, paused or not there, has it from then on.
    """
    name, memory = seen.goal.group.name, seen.memory
    began = member.server.created_at
    moments = memory.started_at.get(name), memory.resumed_at.get(name), memory.enrolled_at.get(member.name)
    for moment in moments:
        if moment and moment > began:
            began = moment
    return began


def _newly_held(seen: View) -> Held | None:
    group, memory = seen.goal.group.name, seen.memory
    if not (memory.failures or memory.streaks or memory.full):
        return None  # nothing failed, as most often
    failures, since = memory.failures.get(group), memory.paused_since.get(group)
    streak, stop = memory.streaks.get(group), _braked(seen)
    if failures and failures.count >= MAX_FAILURES and (since is None or since < failures.last_at):
        text = f"acting failed {failures.count} times in a row: {failures.error}"
        return Held(group, text, seen.goal.generation.number)
    if room.full_until(seen) and (since is None or since + TOLD_AGAIN <= seen.at):
        return Held(group, NO_ROOM, seen.goal.generation.number)
    if stop and stop.told and streak and (since is None or since < streak.last_at):
        return Held(group, f"{stop.why}: they are started again ever more slowly", seen.goal.generation.number)
    return None


class _Brake(Struct, frozen=True):
    """Until when no server is started, why, and whether a person should be told."""

    until: datetime
    why: str
    told: bool


def _braked(seen: View) -> _Brake | None:
    """The brake of a group whose generation has served: before that, deaths end its rollout."""
    group, memory = seen.goal.group.name, seen.memory
    streak = memory.streaks.get(group)
    if streak is None or group not in memory.settled_at:
        return None
    wait = brake.wait_after(streak, _bearable(seen))
    why = f"{streak.deaths} servers died one after the other, of a generation that had served"
    return _Brake(streak.last_at + wait, why, wait >= brake.WORTH_TELLING) if wait else None


def _bearable(seen: View) -> int:
    return max(MIN_DEATHS, seen.goal.group.count)


def _next_try(failures: Failures) -> datetime:
    if failures.count < MAX_FAILURES:
        return failures.last_at + FIRST_RETRY * int(2 ** (failures.count - 1))
    # The exponent is bounded: a fault may last for weeks.
    probe = FIRST_PROBE * int(2 ** min(failures.count - MAX_FAILURES, 8))
    return failures.last_at + min(probe, LONGEST_RETRY)
