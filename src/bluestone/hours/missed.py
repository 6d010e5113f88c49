"""Why an opening was missed, told from what the journal has of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bluestone.model.event import Event

LOOKS_APART = timedelta(minutes=2)
"""A longer time between two looks means that nobody led: the machine slept, no daemon ran, or the clock jumped."""

TROUBLE = ("server.died", "action.failed", "rollout.halted", "rollout.paused", "fleet.unseen", "group.paused")
"""Events that keep servers from being up."""


def explain(
    opening: datetime, begun: datetime | None, looked: datetime | None, trouble: Sequence[Event], waiting: Sequence[str]
) -> str:
    """Why servers were not up at an opening.

    `begun` is when they were begun to be started for it, `looked` the last look before that, `trouble` the events since
    then (oldest first), `waiting` what the group waits for now.
    """
    reasons = []
    if begun is None or begun >= opening:
        if looked is not None and looked < opening - LOOKS_APART:
            reasons.append(f"nobody looked from {looked:%d %b %H:%M:%S} on: no daemon ran, or the machine slept")
        else:
            reasons.append("it was not known in time that servers were wanted then")
    counted: dict[str, list[Event]] = {}
    for event in trouble:
        counted.setdefault(event.kind, []).append(event)
    for kind, events in counted.items():
        times = f"{len(events)} times " if len(events) > 1 else ""
        reasons.append(f"{times}{kind.replace('.', ' ')}, last: {events[-1].message}")
    if not trouble and begun is not None and begun < opening:
        ahead = (opening - begun).total_seconds()
        reasons.append(f"they were begun {ahead:.0f} s ahead, and took longer")
    reasons += [f"it waits: {reason}" for reason in waiting[:2]]
    return "; ".join(reasons)
