"""Hosts with declarations of their own that share a fleet: who leads, by the real rule, on virtual time.

On each host somebody runs `bluestone up` again and again, with what is declared there, and a daemon waits to go on with
what holds already. Leaders give their lease back, or are killed and let it end. Now and then a person says
`--take-over`. What must hold is checked at every step; the first thing that does not raises `Violation`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bluestone.fleet.controller import lease as rule
from bluestone.fleet.controller.lease import LENGTH, Holder, Lease
from bluestone.simulation.history import Violation

STEPS = 200
LONGEST = 4.0
"""Seconds that one leads or that nothing happens, at most."""

TAKE_OVER = 0.05
KILL = 0.4
"""Shares of tries in which a person says so, and of leaders that are killed instead of giving the lease back."""


@dataclass
class Contest:
    """What holds: the lease, until when it runs, and whose declaration the fleet was last led to."""

    seconds: float = 0.0
    lease: Lease | None = None
    ends: float = 0.0
    holds: str = ""
    changes: int = 0
    asked: int = 0
    """How often a person has said `--take-over`."""

    def seen(self) -> Lease | None:
        """The lease as whoever asks for it is shown it."""
        if self.lease is None:
            return None
        return Lease(self.lease.epoch, self.lease.holder, max(0.0, self.ends - self.seconds), self.lease.returned)


def contend(seed: int, hosts: Sequence[str] = ("alpha", "beta")) -> Contest:
    """Play one history. Raises `Violation`.

    A declaration takes another's place by a person's word alone, wherever daemons went on meanwhile. A lead that ended
    is had anew within a lease.
    """
    chance, contest = random.Random(seed), Contest()  # noqa: S311 - it has to come out the same again
    for step in range(STEPS):
        contest.seconds += chance.uniform(0, LONGEST)
        heir, take_over = chance.random() < 0.3, chance.random() < TAKE_OVER
        _try_to_lead(contest, _holder(chance.choice(hosts), step), chance, heir=heir, take_over=take_over and not heir)
    if contest.changes > contest.asked:
        said = f"a person said so {contest.asked} times"
        raise Violation(f"seed {seed}: {contest.changes} declarations took turns: {said}")
    # Whoever led is gone: on its host, and wherever a daemon waits, there is a leader within a lease.
    contest.seconds += LENGTH.total_seconds()
    last = contest.lease.holder.declared_on if contest.lease else hosts[0]
    for host, heir in ((last, False), *((host, True) for host in hosts)):
        if why := rule.refusal(contest.seen(), _holder(host, STEPS), take_over=False, heir=heir):
            raise Violation(f"seed {seed}: nobody can lead within a lease: {why}")
    return contest


def _try_to_lead(contest: Contest, holder: Holder, chance: random.Random, *, heir: bool, take_over: bool) -> None:
    lease = contest.seen()
    contest.asked += take_over
    if rule.refusal(lease, holder, take_over=take_over, heir=heir):
        return
    if lease is not None and lease.left and not take_over:
        raise Violation(f"{holder} leads beside {lease.holder}, whose lease runs")
    if heir:
        holder = rule.as_heir(lease, holder)
    elif holder.host != contest.holds:
        contest.changes += contest.holds != ""
        contest.holds = holder.host
    contest.seconds += chance.uniform(0, LONGEST)
    killed = chance.random() < KILL
    contest.lease = Lease(lease.epoch + 1 if lease else 1, holder, 0.0, returned=not killed)
    contest.ends = contest.seconds + (LENGTH.total_seconds() if killed else 0.0)


def _holder(host: str, number: int) -> Holder:
    return Holder(f"{host}-{number}", host, host, number, "somebody", "up", datetime(2026, 1, 1, tzinfo=UTC))
