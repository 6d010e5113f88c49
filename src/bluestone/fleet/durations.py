"""How long the steps of a rollout take: the medians of what they took before, or what is assumed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from msgspec import Struct, field

from bluestone.model.action import PAST, Action
from bluestone.model.event import Event

ASSUMED: Mapping[str, float] = {
    "create": 1.0,
    "boot": 5.0,
    "enrol": 0.1,
    "attach": 0.1,
    "detach": 0.1,
    "drain": 1.0,
    "dismiss": 0.1,
    "destroy": 2.0,
}
"""Seconds, where nothing was measured: a container on a small machine. `boot` is from a server's start until it is
healthy, `drain` from its detach until it holds no sessions."""

AT_ONCE = 4
"""How many creates, or destroys, are made at once: the controller's number of workers."""

BETWEEN = 0.1
"""Seconds from the end of a step to the beginning of the next: a look at the world, and a plan."""


class Durations(Struct, frozen=True):
    """Seconds by group and step; what is not in there is assumed."""

    measured: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, group: str, step: str) -> float:
        """How long a step of a group takes. Raises `KeyError` for no step."""
        return self.measured.get((group, step), ASSUMED[step])

    def knows(self, group: str) -> bool:
        """Whether the starts of a group's servers have been measured."""
        return (group, "boot") in self.measured

    def of_round(self, actions: Sequence[Action]) -> float:
        """How long actions that are taken together take, with what has to be waited for after them."""
        longest = 0.0
        for group in {action.group for action in actions}:
            for verb in PAST:
                number = sum(action.verb == verb and action.group == group for action in actions)
                if number:
                    turns = -(-number // AT_ONCE) if verb in ("create", "destroy") else 1
                    after = {"create": "boot", "detach": "drain"}.get(verb)
                    seconds = turns * self.of(group, verb) + (self.of(group, after) if after else 0.0)
                    longest = max(longest, seconds)
        return longest + BETWEEN if actions else 0.0


UNMEASURED = Durations()


def measure(events: Iterable[Event]) -> Durations:
    """The medians over a journal's events, oldest first: outcomes, and the steps from one to another of a server."""
    found: dict[tuple[str, str], list[float]] = {}
    since: dict[tuple[str, str], Event] = {}
    for event in events:
        verb = event.data.get("verb", "")
        if "took_s" in event.data and event.kind == f"server.{PAST.get(verb)}":
            found.setdefault((event.group, verb), []).append(float(event.data["took_s"]))
        if event.kind in ("server.created", "server.detached"):
            since[event.server, event.kind] = event
        for kind, step, begin in (
            ("server.attach", "boot", "server.created"),
            ("server.dismiss", "drain", "server.detached"),
        ):
            if event.kind == kind and (began := since.pop((event.server, begin), None)):
                found.setdefault((event.group, step), []).append((event.at - began.at).total_seconds())
    return Durations({key: median(values) for key, values in found.items()})
