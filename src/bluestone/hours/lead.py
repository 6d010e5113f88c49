"""How long before an opening servers must be begun, learned from how long they took before. Pure.

The lead is the time that all but one in a hundred boots keep to, from the decision on, so that the wait for others that
are created at the same time is in it; and on top of it the same, and the time until a failure shows, for each time that
a boot must be expected to fail: so often that fewer than one opening in two thousand is missed for failing boots. A
quarter more is for what was never seen yet, such as a quota or a slow provider; `FLOOR` is never gone below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from msgspec import Struct

from bluestone.model.event import Event

FLOOR = 30.0
"""Seconds: the daemon looks every ten, and a first look may fail."""

LONGEST = 3600.0
"""Seconds: whoever needs more declares it. One bad morning must not have servers up half the night for weeks."""

UNKNOWN = 300.0
"""Seconds, as long as nothing was measured. In a simulated year 5 minutes met 98 % of the openings."""

ENOUGH = 5
"""Boots of an image from which on it is judged by its own."""

REMEMBERED = 200
"""Newest boots that are looked at."""

MARGIN = 1.25
MISSES = 0.0005
"""The share of openings that failing boots may spoil."""

MOST_RETRIES = 6


class Boot(Struct, frozen=True):
    """How long a server took from the decision to create it until it got requests, or until it failed; in seconds."""

    image: str
    took: float
    worked: bool


class Lead(Struct, frozen=True):
    """Seconds before an opening, and where they come from."""

    seconds: float
    why: str


def boots(events: Iterable[Event], *, balanced: bool = True) -> list[Boot]:
    """The boots that a group's events (oldest first) tell of.

    A group that is not `balanced` has no ports: its servers serve as soon as they are there.
    """
    begun: dict[str, Event] = {}
    found = []
    for event in events:
        if event.kind == "server.create":
            begun[event.server] = event
        elif event.kind == ("server.attached" if balanced else "server.created"):
            if create := begun.pop(event.server, None):
                found.append(_boot(create, event, worked=True))
        elif event.kind == "server.died":
            if create := begun.pop(event.server, None):
                found.append(_boot(create, event, worked=False))
        elif event.kind == "server.destroy" or (event.kind == "action.failed" and event.data.get("verb") == "create"):
            # A call that fails says nothing of the image: it is the provider's outage, or a quota.
            begun.pop(event.server, None)
    return found


BOOT_KINDS = ("server.create", "server.created", "server.attached", "server.died", "action.failed", "server.destroy")
"""Events that tell of boots."""


def learned(known: Sequence[Boot], image: str, count: int) -> Lead:
    """The lead for `count` servers of an image; `known` are the boots of its provider, oldest first."""
    own = [boot for boot in known if boot.image == image]
    used = (own if len(own) >= ENOUGH else list(known))[-REMEMBERED:]
    good = sorted(boot.took for boot in used if boot.worked)
    if not good:
        return Lead(UNKNOWN, f"{UNKNOWN:g} s, as nothing was measured yet")
    bad = sorted(boot.took for boot in used if not boot.worked)
    slow = quantile(good, 0.99)
    retries = retries_for(count, (len(bad) + 0.5) / (len(used) + 1))
    until_seen = quantile(bad, 0.95) if bad else slow
    seconds = MARGIN * (slow + retries * (until_seen + slow))
    text = (
        f"of {len(used)} boots 99 % took at most {slow:.0f} s, {len(bad)} failed, so {retries} retries are allowed for"
    )
    if len(own) < ENOUGH:
        text += "; most are of other images"
    return Lead(min(max(FLOOR, seconds), LONGEST), text)


def retries_for(count: int, failing: float) -> int:
    """How often in a row one of `count` boots may have to be repeated where a share of them fails."""
    for retries in range(MOST_RETRIES):
        if count * failing ** (retries + 1) <= MISSES:
            return retries
    return MOST_RETRIES


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that a share of these, in order, does not exceed: the nearest rank."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _boot(create: Event, end: Event, *, worked: bool) -> Boot:
    return Boot(str(create.data.get("image", "")), max(0.0, (end.at - create.at).total_seconds()), worked)
