"""Requests that come to a sleeping group and wake it; and how long none has come to one that they woke."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from bluestone.app.hours.hours import SLEPT, WOKEN, awake
from bluestone.fleet.balancer import Balancer
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.model.group import Group
from bluestone.model.hours import Wanted
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem


class Doorbell:
    """Counts what comes to the balancer for groups that requests may wake; `record` writes to the journal.

    What came before the first look, or while the balancer did not answer, wakes nobody: whoever asked tries again.
    """

    def __init__(self, journal: Journal, balancer: Balancer, record: Callable[[Iterable[Entry]], None]) -> None:
        self._journal = journal
        self._balancer = balancer
        self._record = record
        self._known: dict[str, int] = {}
        self._came_at: dict[str, datetime] = {}
        self._asleep: frozenset[str] = frozenset()
        self.next_look: datetime | None = None
        """When a group that was woken may sleep again, if no request comes until then."""

    def rings(self) -> bool:
        """Whether something came for a group that was asleep at the last look."""
        return bool(self._asleep) and any(name in self._asleep for name in self._came(self._count()))

    def heed(self, goals: Sequence[Goal], wanted: Sequence[Wanted], now: datetime) -> bool:
        """Record who is woken by what came since the last look, and who sleeps again as nothing did for long.

        Whether there is any. `wanted` is what the hours want now.
        """
        self.next_look = None
        groups = [goal.group for goal in goals if goal.group.count and _may_be_woken(goal.group)]
        if not groups:
            self._asleep = frozenset()
            return False
        count = self._count()
        came = self._came(count)
        self._known |= count
        self._came_at |= dict.fromkeys(came, now)
        up = awake(self._journal, groups)
        lessened = {each.group for each in wanted if each.lessened}
        entries = []
        for group in groups:
            hours = group.hours
            assert hours is not None
            if group.name in up:
                quiet_at = max(up[group.name], self._came_at.get(group.name, up[group.name])) + hours.idle
                self.next_look = min(quiet_at, self.next_look or quiet_at)
                if now >= quiet_at:
                    entries.append(Entry(SLEPT, group.name, message=f"no request came for {hours.idle}"))
            elif group.name in came and group.name in lessened:
                text = "a request came while it slept"
                entries.append(Entry(WOKEN, group.name, message=text))
        self._asleep = frozenset(lessened & {group.name for group in groups})
        if entries:
            self._record(entries)
        return bool(entries)

    def _count(self) -> Mapping[str, int]:
        try:
            return self._balancer.arrivals()
        except Problem:
            return {}

    def _came(self, count: Mapping[str, int]) -> set[str]:
        # A balancer that was started anew, or reloaded, counts from nothing.
        return {
            name
            for name, number in count.items()
            if name in self._known and (number > self._known[name] or 0 < number < self._known[name])
        }


def _may_be_woken(group: Group) -> bool:
    return group.hours is not None and group.hours.on_request is not None
