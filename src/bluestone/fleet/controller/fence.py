"""What a process knows about its own lease: its epoch, and until when it may act.

Two clocks are at work: the journal's own decides who leads; this machine's only says when to stop acting, and it began
to count before the journal did. It counts on while the machine is suspended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from bluestone.fleet.controller.lease import LENGTH, Fenced, Holder, Lease, Led
from bluestone.model.problem import Problem, Refused

if TYPE_CHECKING:
    from bluestone.fleet.controller.journal import Journal

RENEWALS = 4
"""How often a lease is renewed before it would end; and the part of it that must be left for a call to begin."""


EXTRA = 0.02
"""Seconds that are waited beyond the end of a lease, for clocks that do not go alike."""


def boot_clock() -> float:
    """Seconds since the machine was started, asleep or awake."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Shared by the thread that renews the lease and those that act. `epoch` is 0 for one that never led."""

    def __init__(self, clock: Callable[[], float] = boot_clock) -> None:
        self.epoch = 0
        self._clock = clock
        self._ends = 0.0
        self._margin = 0.0
        self._lost: Problem | None = None
        self._changed = threading.Condition()

    def open(self, epoch: int, asked: float, length: timedelta) -> None:
        """The lease was had at `epoch`, asked for at the instant `asked` of this machine's clock."""
        with self._changed:
            self.epoch, self._lost = epoch, None
            self._margin = length.total_seconds() / RENEWALS
        self.extend(asked, length)

    def extend(self, asked: float, length: timedelta) -> None:
        """The lease was renewed for `length`, asked for at the instant `asked`."""
        with self._changed:
            self._ends = asked + length.total_seconds()
            self._changed.notify_all()

    def lose(self, why: Problem) -> None:
        """Another has the lease. The epoch stays, so that nothing is written any more either."""
        with self._changed:
            self._lost = why
            self._changed.notify_all()

    def close(self) -> None:
        """The lease was given back: what this process writes from now on is a person's word, as before."""
        with self._changed:
            self.epoch = 0 if self._lost is None else self.epoch
            self._ends = 0.0

    @property
    def lost(self) -> Problem | None:
        """Why this process leads no more, if another has taken over."""
        return self._lost

    def may_act(self) -> None:
        """Return if the lease still runs for long enough that a call can begin, waiting for a renewal if need be.

        Raises `Refused` otherwise. A process that never took a lease may always: whoever made it answers for it.
        """
        with self._changed:
            if self.epoch == 0:
                return
            sure = self._changed.wait_for(lambda: self._lost or self._left() > 0, timeout=self._margin * RENEWALS)
            if self._lost is not None:
                raise Refused(self._lost.what)
            if not sure:
                raise Refused("it is not known whether this controller still leads: its lease could not be renewed")

    def _left(self) -> float:
        return self._ends - self._margin - self._clock()


@contextmanager
def leading(
    journal: Journal, holder: Holder, *, take_over: bool = False, gone: bool = False, length: timedelta = LENGTH
) -> Iterator[Lease]:
    """Lead while the block runs; a thread renews the lease.

    Raises `Led` if somebody else leads: whoever does has the rest of a lease to show that they are alive. With
    `take_over` they are fenced off, and may begin no call any more when the block begins. `gone` says that whoever
    has the lease is known to have ended: nothing is waited for. All who lead by one journal have leases of one length.
    """
    lease = _insist(journal, holder, length, take_over=take_over or gone)
    with _renewing(journal, lease, length):
        if not gone:
            time.sleep(min(lease.former, length.total_seconds()))
        yield lease


@contextmanager
def inheriting(
    journal: Journal, holder: Holder, stop: threading.Event, *, length: timedelta = LENGTH
) -> Iterator[Lease | None]:
    """Lead as soon as nobody else does; None if `stop` was set first. For one who only goes on with what the journal
    says: see `lease.refusal`."""
    lease = None
    while lease is None and not stop.is_set():
        try:
            lease = _attempt(journal, holder, length, heir=True)
        except Led as led:
            stop.wait(led.lease.left)
    if lease is None:
        yield None
        return
    with _renewing(journal, lease, length):
        yield lease


def _attempt(
    journal: Journal, holder: Holder, length: timedelta, *, take_over: bool = False, heir: bool = False
) -> Lease:
    asked = boot_clock()
    lease = journal.take(holder, length, take_over=take_over, heir=heir)
    journal.fence.open(lease.epoch, asked, length)
    return lease


def _insist(journal: Journal, holder: Holder, length: timedelta, *, take_over: bool) -> Lease:
    """Try until whoever has the lease has either renewed it or let it end."""
    first: Lease | None = None
    while True:
        try:
            return _attempt(journal, holder, length, take_over=take_over)
        except Led as led:
            lease = led.lease
            if lease.left <= 0 or first is not None:
                raise
            first = lease
        time.sleep(lease.left + EXTRA)


@contextmanager
def _renewing(journal: Journal, lease: Lease, length: timedelta) -> Iterator[Lease]:
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(journal, length, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()
        if journal.fence.lost is None:
            # Unreachable: then it ends by itself.
            with suppress(Problem):
                journal.give_back()
        journal.fence.close()


def _renew(journal: Journal, length: timedelta, ended: threading.Event) -> None:
    while not ended.wait(length.total_seconds() / RENEWALS):
        asked = boot_clock()
        try:
            journal.renew(length)
        except Fenced as fenced:
            journal.fence.lose(fenced)
            return
        except Problem:
            continue  # the lease may still run, and the next try be answered
        journal.fence.extend(asked, length)
