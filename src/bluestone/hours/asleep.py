"""Which volumes may be put away, as their group's hours have no server for them now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from bluestone.model.inventory import Inventory
from bluestone.model.plan import Goal
from bluestone.model.volume import volume_name


class Sleeper(Struct, frozen=True):
    """A volume whose slot has no server until its group opens."""

    volume: str
    group: str
    provider: str


def sleepers(goals: Sequence[Goal], inventory: Inventory) -> Iterator[Sleeper]:
    """The volumes that are declared to be snapshots while nobody has them; none as long as not everything is seen."""
    if not inventory.complete:
        return
    for goal in goals:
        group = goal.group
        if goal.declared is None or not group.snapshots:
            continue
        # Whatever becomes of a server, it has its volumes until it is gone; so has one that is being made.
        taken = {server.slot for server in inventory.of_group(group.name)}
        for slot in range(group.count + 1, goal.declared + 1):
            if slot not in taken:
                for name in group.snapshots:
                    yield Sleeper(volume_name(group.name, slot, name), group.name, goal.generation.config.provider)
