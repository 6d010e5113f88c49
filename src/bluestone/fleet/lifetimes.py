"""The journal's events -> what begins and ends servers' lifetimes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bluestone.model.event import Event
from bluestone.model.ids import Digest
from bluestone.model.lifetime import Change

BEGAN = "server.create"
SEEN = ("server.created", "server.enrolled", "server.attached")
ENDED = "server.destroyed"
FAILED = ("action.failed", "action.refused", "action.lost")
KINDS = (BEGAN, *SEEN, ENDED, *FAILED)
"""Events that tell of lifetimes."""


def changes(events: Iterable[Event], image_of: Callable[[str, int], str]) -> Iterator[Change]:
    """What events (oldest first) say of lifetimes.

    A server is taken to be there from when its creation was begun until its end is known: a server too many can be
    looked at, one too few would be missed. A creation that failed ends it, unless the server is seen later all the
    same.
    `image_of` tells the image of a group's generation, for events that do not; empty if it is not known.
    """
    for event in events:
        if event.kind == BEGAN:
            image = event.data.get("image") or image_of(event.group, int(event.data.get("generation", 0)))
            yield Change("began", event.server, event.at, event.group, Digest(image))
        elif event.kind in SEEN:
            yield Change("seen", event.server, event.at)
        elif event.kind == ENDED or (event.kind in FAILED and event.data.get("verb") == "create"):
            yield Change("ended", event.server, event.at)
