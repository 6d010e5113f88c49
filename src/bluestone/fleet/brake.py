"""Servers that die again and again are not started again and again at full speed. Pure.

A *streak* are deaths that follow each other without a calm of `CALM` between. As many of them as the group bears cost
nothing, since a host that restarts takes all its servers at once. After that the wait for the next start doubles
whenever as many have died again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from bluestone.model.memory import Streak

CALM = timedelta(minutes=30)
"""So long without a death ends a streak; longer than any wait, or waiting alone would end it."""

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=10)

WORTH_TELLING = timedelta(minutes=1)
"""A wait this long is for a person to know."""


def after_death(streak: Streak | None, at: datetime) -> Streak:
    """The streak once another server has died."""
    if streak is None or at - streak.last_at >= CALM:
        return Streak(1, at)
    return Streak(streak.deaths + 1, at)


def wait_after(streak: Streak, bearable: int) -> timedelta:
    """How long after the last death no server is started; nothing as long as the group bears the streak."""
    rounds = ceil(streak.deaths / bearable) - 1
    # The exponent is bounded: a streak may last for weeks.
    return min(FIRST_WAIT * int(2 ** min(rounds - 1, 16)), LONGEST_WAIT) if rounds > 0 else timedelta(0)
