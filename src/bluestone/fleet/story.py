"""Why a server is here, or is not any more; what a plan led to; what an event belongs to. Pure: events -> text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from bluestone.fleet.explain import length
from bluestone.model.action import PAST
from bluestone.model.event import Event
from bluestone.model.ids import short

ENDS = ("rollout.finished", "rollout.halted", "rollout.paused", "rollout.started")
"""What a rollout can end with; another one that begins ends it too."""


class Story(Struct, frozen=True):
    """`summary` answers the question, a sentence each; `events` are the entries that it is drawn from, in order.

    `said` are the last log lines of a server, the newest last.
    """

    of: Literal["server", "plan", "event"]
    name: str
    summary: tuple[str, ...]
    events: tuple[Event, ...]
    said: tuple[str, ...] = ()


def of_server(
    name: str, events: Sequence[Event], rollouts: Sequence[Event], now: str = "", said: Sequence[str] = ()
) -> Story:
    """A server's life. `rollouts` are the `rollout.started` of its group, `now` is what it is at this moment, if known,
    `said` are its last log lines.

    All events oldest first; the server has at least one.
    """
    return Story("server", name, tuple(_life(name, events, rollouts, now)), tuple(events), tuple(said))


def of_plan(plan: str, started: Event, events: Sequence[Event]) -> Story:
    """What became of a plan of the past: the rollout of a group that it began. `events` are the group's after that."""
    mine = _rollout(events)
    counts = {
        past: sum(e.kind == f"server.{past}" for e in mine) for past in ("created", "attached", "detached", "destroyed")
    }
    said = ", ".join(f"{count} {past}" for past, count in counts.items() if count) or "nothing was done"
    summary = [f"plan {plan} began a rollout of {started.group} {started.message} {_by(started)}", f"servers: {said}"]
    if failures := sum(e.kind in ("action.failed", "server.died") for e in mine):
        summary.append(f"{failures} steps failed or servers died on the way")
    end = next((e for e in mine if e.kind in ENDS), None)
    summary.append(_ended(started, end))
    return Story("plan", plan, tuple(summary), (started, *mine))


def of_event(event: Event, around: Sequence[Event], rollout: Event | None) -> Story:
    """What an event is about. `around` are the other events of its server, or of its group, oldest first."""
    summary = [f"event {event.sequence}: {sentence(event)}"]
    verb = event.data.get("verb", "")
    before = [e for e in around if e.sequence < event.sequence]
    if verb and (intent := next((e for e in reversed(before) if e.kind == f"server.{verb}"), None)):
        after = (event.at - intent.at).total_seconds()
        summary.append(f"it answers event {intent.sequence}, {after:.1f} s before: {intent.message}")
    wanted = event.kind.removeprefix("server.")
    if wanted in PAST:
        answer = next((e for e in around if e.sequence > event.sequence and e.data.get("verb") == wanted), None)
        answered = f"event {answer.sequence}: {sentence(answer)}" if answer else "nothing yet: it is under way, or lost"
        summary.append(f"what became of it: {answered}")
    if rollout is not None and rollout.sequence != event.sequence:
        summary.append(f"in the rollout of {rollout.group} {rollout.message} {_by(rollout)} (event {rollout.sequence})")
    near = [e for e in around if e.server == event.server] if event.server else list(around)
    place = next((i for i, e in enumerate(near) if e.sequence > event.sequence), len(near))
    shown = [e for e in near[max(0, place - 4) : place + 4] if e.sequence != event.sequence]
    return Story("event", str(event.sequence), tuple(summary), tuple(sorted([*shown, event], key=lambda e: e.sequence)))


def sentence(event: Event) -> str:
    """An event in words: what happened to whom, and why."""
    what = event.kind.partition(".")[2] if event.server else event.kind.replace(".", " ")
    name = event.server or event.group or "all groups"
    return f"{name} {what}: {event.message}" if event.message else f"{name} {what}"


def _life(name: str, events: Sequence[Event], rollouts: Sequence[Event], now: str) -> Iterator[str]:
    last = {event.kind: event for event in events}
    born = last.get("server.create")
    if born is not None:
        data = born.data
        image = f", image {short(data['image'])}" if "image" in data else ""
        yield f"{name} is a server of generation {data['generation']} of {born.group}, in slot {data['slot']}{image}"
        yield f"created {_when(born.at)}: {born.message}"
        if rollout := _before(rollouts, born):
            yield f"that was in the rollout {rollout.message} {_by(rollout)} (event {rollout.sequence})"
    if "server.attach" in last:
        first = next(event for event in events if event.kind == "server.attach")
        yield f"it got requests from {_when(first.at)} on{_until(last)}"
    if taint := last.get("server.tainted"):
        yield f"it had to be replaced: {taint.message} ({taint.data.get('cause', 'taint')})"
    if died := last.get("server.died"):
        yield f"it died {_when(died.at)}: {died.message}"
    yield from _end(last, rollouts, now)


def _end(last: dict[str, Event], rollouts: Sequence[Event], now: str) -> Iterator[str]:
    wanted, done = last.get("server.destroy"), last.get("server.destroyed")
    # Why it had to go was said when its way out began, and again at each of its steps.
    out = next((last[k] for k in ("server.detach", "server.dismiss", "server.destroy") if k in last), None)
    if wanted is None and done is None:
        if now:
            yield f"it is {now}"
        elif "action.lost" in last and "server.created" not in last:
            yield f"it never came to be: {last['action.lost'].message}"
        return
    reason = wanted or done
    if reason is not None:
        yield f"{'destroyed' if done else 'being destroyed since'} {_when((done or reason).at)}: {reason.message}"
        if rollout := _before(rollouts, out or reason):
            yield f"that was in the rollout {rollout.message} {_by(rollout)} (event {rollout.sequence})"
    if done is None:
        yield f"it is {now or 'not known to be gone yet'}"


def _until(last: dict[str, Event]) -> str:
    detach, attach = last.get("server.detach"), last["server.attach"]
    return f" until {_when(detach.at)}" if detach and detach.sequence > attach.sequence else ""


def _rollout(events: Sequence[Event]) -> list[Event]:
    """The events of one rollout: up to what ends it."""
    end = next((i for i, e in enumerate(events) if e.kind in ENDS), len(events))
    return list(events[: end + 1])


def _ended(started: Event, end: Event | None) -> str:
    if end is None:
        return "it is not at its end yet"
    took = (end.at - started.at).total_seconds()
    predicted = started.data.get("predicted_s")
    said = f" ({length(predicted)} were predicted)" if predicted else ""
    how = {"rollout.started": "another one began"}.get(end.kind, end.kind.partition(".")[2])
    return f"after {length(took)}{said}: {how}{f', {end.message}' if end.message else ''}"


def _before(rollouts: Sequence[Event], event: Event) -> Event | None:
    return next((r for r in reversed(rollouts) if r.sequence < event.sequence), None)


def _by(started: Event) -> str:
    by, plan = started.data.get("by", ""), started.data.get("plan", "")
    return f"that {by or 'somebody'} began {_when(started.at)}{f' by plan {plan}' if plan else ''}"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
