"""Canaries: the first servers of a new generation, which serve for a while beside the old and are compared with them.

The rule. Over the bake, the balancer's counters of the canaries are set against those of the old servers:

- *bad*, as soon as it shows: the canaries have had `ENOUGH_TO_CONDEMN` requests, fail at least `MARGIN` more of them
  than the old do, and that by chance less than once in a thousand (two proportions, one-sided, z >= 3.09); or, when the
  bake is over, they take more than `SLOWER` times as long to answer and `SLOWER_BY` more.
- *good*, when the bake is over: neither is so, and they have had `ENOUGH_TO_ACQUIT` requests.
- *unclear*, when the bake is over and they have had fewer.

A group without ports has nothing that counts its errors: there, canaries that ran for the bake are good. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Literal

from msgspec import Struct

from bluestone.fleet.budget import surge
from bluestone.fleet.standing import Member, View
from bluestone.model.inventory import Counters
from bluestone.model.memory import Canary
from bluestone.model.plan import CanaryBegan, CanaryPassed, Fact, Halted, Held

ENOUGH_TO_CONDEMN = 20
ENOUGH_TO_ACQUIT = 100
"""Requests. A hundred without an error leave an error rate above 3 % less likely than 1 in 20 (the rule of three)."""

MARGIN = 0.01
"""How much larger a share of failed requests must be to matter."""

SURE = 3.09
"""Standard errors that chance exceeds less than once in a thousand."""

SLOWER, SLOWER_BY = 2.0, 20.0
"""How many times as long, and how many milliseconds longer, an answer must take to matter."""


class Verdict(Struct, frozen=True):
    """What the comparison shows now, and the figures behind it."""

    is_: Literal["baking", "good", "bad", "unclear"]
    reason: str


def awaited(view: View) -> int:
    """How many canaries stand between the group and the rest of its rollout; 0 if nothing does.

    There is a comparison only where another generation gets requests, and none is asked of a generation that passed
    it once, or that served as a whole before.
    """
    group = view.goal.group
    if not group.rollout.canary.value:
        return 0
    wanted = min(group.rollout.canary.of(group.count, up=True), max(1, group.count - 1))
    if wanted < 1 or not group.count or view.goal.generation.number in view.memory.passed.get(group.name, ()):
        return 0
    return wanted if any(m.foreign and _gets_requests(m) for m in view.old) else 0


def leave(view: View) -> int:
    """How many of the old servers must stay as long as the canaries are awaited."""
    group = view.goal.group
    if group.rollout.strategy == "blue-green" and not view.pinned:
        return group.count
    return group.count - max(0, awaited(view) - surge(view.goal))


def findings(view: View) -> list[Fact]:
    """What is to be said about the canaries now: that they serve, that they passed, or why the rollout ends."""
    wanted, group, generation = awaited(view), view.goal.group, view.goal.generation.number
    if not wanted:
        return []
    all_serve = len(view.new) >= wanted and all(m.stance == "serving" for m in view.new)
    canary = view.memory.canary.get(group.name)
    if canary is None or canary.generation != generation:
        if not all_serve:
            return []
        counted = {m.name: m.backend.counters for m in (*view.new, *view.old) if m.backend}
        text = f"{len(view.new)} of {group.count} serve; compared with the old for {group.rollout.bake}"
        return [CanaryBegan(group.name, text, generation, counted)]
    verdict = judge(view, canary)
    if verdict.is_ == "bad":
        worst = view.new[0].name if view.new else ""
        return [Halted(group.name, verdict.reason, worst, generation, declared_as(view))]
    if verdict.is_ == "baking" or not all_serve:
        return []
    if verdict.is_ == "good" or group.rollout.inconclusive == "go-on":
        return [CanaryPassed(group.name, verdict.reason, generation)]
    if group.name in view.memory.paused_since:
        return []
    return [Held(group.name, verdict.reason, generation)]


def declared_as(view: View) -> str:
    """What names the declaration that a failure quarantines a generation under; empty where it does not.

    Without a generation to go back to there is no sense in keeping people from trying again.
    """
    return view.goal.declaration() if view.goal.fallback else ""


def judge(view: View, canary: Canary) -> Verdict:
    """Compare the canaries with the old servers, by the rule above."""
    bake = view.goal.group.rollout.bake
    over = view.at >= canary.began_at + bake
    new = _since(canary, view.new)
    old = _since(canary, (m for m in view.old if m.foreign))
    if not view.goal.group.ports:
        return Verdict("good" if over else "baking", f"they ran for {bake}; without ports no errors are counted")
    figures = (
        f"{new.errors} of {new.requests} requests failed on the canaries, {old.errors} of {old.requests} on the old"
    )
    if new.requests >= ENOUGH_TO_CONDEMN and _fails_more(new, old):
        return Verdict("bad", f"the canaries fail: {figures}")
    if not over:
        return Verdict("baking", figures)
    times = f"{new.response_ms or 0:.0f} ms against {old.response_ms or 0:.0f} ms to an answer"
    if new.requests >= ENOUGH_TO_CONDEMN and _is_slower(new, old):
        return Verdict("bad", f"the canaries are slow: {times}")
    if new.requests < ENOUGH_TO_ACQUIT:
        return Verdict("unclear", f"too few requests to judge the canaries by: {figures}")
    return Verdict("good", f"{figures}; {times}")


def _gets_requests(member: Member) -> bool:
    return member.attached or (member.backend is None and member.stance == "serving")


def _since(canary: Canary, members: Iterable[Member]) -> Counters:
    """What these servers did since the bake began; times weighted by requests."""
    requests = errors = timed = 0
    total_ms = 0.0
    for member in members:
        if member.backend is None:
            continue
        now, then = member.backend.counters, canary.baseline.get(member.name, Counters())
        # A balancer that was started anew counts from nothing.
        done = now.requests - then.requests if now.requests >= then.requests else now.requests
        failed = now.errors - then.errors if now.errors >= then.errors else now.errors
        requests, errors = requests + done, errors + failed
        if now.response_ms is not None and done:
            timed, total_ms = timed + done, total_ms + now.response_ms * done
    return Counters(requests, min(errors, requests), total_ms / timed if timed else None)


def _fails_more(new: Counters, old: Counters) -> bool:
    """Whether the new fail a larger share of requests than the old, and not by chance."""
    share_new = new.errors / new.requests
    share_old = old.errors / old.requests if old.requests else 0.0
    if share_new - share_old < MARGIN:
        return False
    if not old.requests:
        return share_new >= 0.5  # nothing to compare with: only what is plain
    both = (new.errors + old.errors) / (new.requests + old.requests)
    error = sqrt(both * (1 - both) * (1 / new.requests + 1 / old.requests))
    return error == 0 or (share_new - share_old) / error >= SURE


def _is_slower(new: Counters, old: Counters) -> bool:
    if new.response_ms is None or old.response_ms is None:
        return False
    return new.response_ms > max(SLOWER * old.response_ms, old.response_ms + SLOWER_BY)
