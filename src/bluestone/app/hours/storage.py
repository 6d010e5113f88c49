"""What a project's journal knows of volumes and snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.hours.storage import DESTROYED, KINDS, MADE, kept
from bluestone.model.cost import Kept, Stay
from bluestone.model.generation import Generation
from bluestone.model.volume import volume_name


def storage(journal: Journal, stays: Iterable[Stay]) -> list[Kept]:
    """Every stretch of time in which data was kept; `stays` are the servers that the journal knows of."""
    return kept(stays, journal.select(KINDS)[::-1])


def made(journal: Journal, generation: Generation, slots: Sequence[int]) -> list[Entry]:
    """What is to be recorded once the slots of a generation have their volumes: those that the journal lacks."""
    known: set[str] = set()
    for event in journal.select((MADE, DESTROYED), group=generation.group)[::-1]:
        if event.kind == MADE:
            known.add(event.data["volume"])
        else:
            known.discard(event.data.get("volume", ""))
    found = []
    for slot in slots:
        for spec in generation.config.volumes:
            name = volume_name(generation.group, slot, spec.name)
            data = {"volume": name, "size": spec.size, "provider": generation.config.provider}
            if name not in known:
                found.append(Entry(MADE, generation.group, message=name, data=data))
    return found
