"""What became of actions whose outcome nobody recorded, since whoever began them was killed: looked up in the world.

Pure, but for reading the journal.
"""

from __future__ import annotations

from collections.abc import Callable

from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.recall import CREATE_WINDOW
from bluestone.model.action import PAST
from bluestone.model.event import Event
from bluestone.model.inventory import Inventory

LOOKED_AT = 4096
"""How many of the newest intents are looked at: far more than one controller has under way when it is killed."""

INTENTS = tuple(f"server.{verb}" for verb in PAST)
OUTCOMES = ("action.failed", "action.refused", "action.lost", *(f"server.{past}" for past in PAST.values()))


def resolve(journal: Journal, inventory: Inventory) -> list[Entry]:
    """An outcome for each intent that has none, from what is there now; for none that may still take effect.

    An incomplete view resolves nothing. The caller holds the project's lock, so nothing is under way but calls that
    outlive a process which was killed.
    """
    if not inventory.complete:
        return []
    return [
        _outcome(intent, took_effect=_EFFECT[_verb(intent)](intent.server, inventory))
        for intent in unanswered(journal)
        if intent.at <= inventory.at - CREATE_WINDOW
    ]


def unanswered(journal: Journal) -> list[Event]:
    """The intents without an outcome, oldest first."""
    ended: set[tuple[str, str]] = set()
    found = []
    for event in journal.select((*INTENTS, *OUTCOMES), newest=LOOKED_AT):
        if event.kind in OUTCOMES:
            ended.add((event.server, str(event.data.get("verb", ""))))
        elif (event.server, _verb(event)) in ended:
            ended.discard((event.server, _verb(event)))
        else:
            found.append(event)
    return found[::-1]


def _verb(intent: Event) -> str:
    return intent.kind.removeprefix("server.")


def _outcome(intent: Event, *, took_effect: bool) -> Entry:
    verb = _verb(intent)
    data = {"verb": verb, "resolves": intent.sequence}
    if took_effect:
        return Entry(f"server.{PAST[verb]}", intent.group, intent.server, f"{intent.message} (found so)", data)
    why = f"{verb}: it had no effect that can be seen; whoever began it did not end it"
    return Entry("action.lost", intent.group, intent.server, why, data)


def _exists(server: str, inventory: Inventory) -> bool:
    return any(seen.name == server for seen in inventory.servers)


def _admission(server: str, inventory: Inventory) -> str:
    backend = inventory.backend(server)
    return backend.admission if backend else ""


_EFFECT: dict[str, Callable[[str, Inventory], bool]] = {
    "create": _exists,
    "enrol": lambda server, seen: _admission(server, seen) != "",
    "attach": lambda server, seen: _admission(server, seen) == "attached",
    "detach": lambda server, seen: _admission(server, seen) != "attached",
    "dismiss": lambda server, seen: _admission(server, seen) == "",
    "destroy": lambda server, seen: not _exists(server, seen),
}
"""By verb: whether the world looks as it does once that verb worked."""
