"""Tells receivers of events, each in a thread of its own: a slow one holds up neither the fleet nor the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from bluestone.daemon import notices
from bluestone.daemon.log import Log
from bluestone.daemon.metrics import Metrics
from bluestone.daemon.receivers import Receiver, Unwanted, receivers
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.model.event import Event
from bluestone.model.notify import NotifyPolicy
from bluestone.model.problem import Problem

LOOK = 5.0
"""Seconds between two looks at the journal: other commands write to it as well."""

LOOKED_AT = 256
"""Among how many of the newest notes a receiver's own is looked for first."""


class Notifier:
    """Keeps receivers told, from `start` to `stop`. `open_journal` gives each of its threads a journal of its own."""

    def __init__(self, project: str, open_journal: Callable[[], Journal], log: Log, metrics: Metrics) -> None:
        self._project = project
        self._open_journal = open_journal
        self._log = log
        self._metrics = metrics
        self._policy = NotifyPolicy()
        self._desks: list[_Desk] = []

    def follow(self, policy: NotifyPolicy) -> None:
        """Tell whom this declaration names, from now on."""
        if policy == self._policy:
            return
        self.stop()
        self._policy = policy
        self._desks = [self._desk(receiver) for receiver in receivers(policy)]
        for desk in self._desks:
            desk.start()

    def wake(self) -> None:
        """There may be something to tell."""
        for desk in self._desks:
            desk.wake()

    def stop(self) -> None:
        """Tell nobody any more. What was not told yet is told by whoever starts next."""
        for desk in self._desks:
            desk.stop()
        self._desks = []

    def _desk(self, receiver: Receiver) -> _Desk:
        return _Desk(self._project, receiver, self._policy.events, self._open_journal, self._log, self._metrics)


class _Desk(threading.Thread):
    """One receiver, and the thread that tells it."""

    def __init__(
        self,
        project: str,
        receiver: Receiver,
        chosen: tuple[str, ...],
        open_journal: Callable[[], Journal],
        log: Log,
        metrics: Metrics,
    ) -> None:
        # A receiver that does not answer must not keep the process from ending.
        super().__init__(name=f"notify-{receiver.name}", daemon=True)
        self._project = project
        self._receiver = receiver
        self._chosen = chosen
        self._open_journal = open_journal
        self._log = log
        self._metrics = metrics
        self._woken = threading.Event()
        self._ended = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._ended.set()
        self._woken.set()
        self.join(1.0)

    def run(self) -> None:
        """Tell, wait, and tell again, until `stop`."""
        while not self._ended.is_set():
            try:
                self._follow_journal()
            except (Problem, OSError) as error:
                self._log.say("error", "trouble", f"notices cannot be sent: {error}", to=self._receiver.name)
                self._ended.wait(LOOK)

    def _follow_journal(self) -> None:
        journal = self._open_journal()
        try:
            position = self._position(journal)
            while not self._ended.is_set():
                self._woken.clear()
                head = journal.head().sequence
                found = journal.select(notices.KINDS, after=position)
                waiting = [event for event in reversed(found) if notices.is_chosen(event, self._chosen)]
                for left, event in zip(range(len(waiting), 0, -1), waiting, strict=True):
                    if not self._deliver(journal, event, left):
                        return
                    position = event.sequence
                position = max(position, head)  # what nobody wants to hear of need not be read again
                self._woken.wait(LOOK)
        finally:
            journal.close()

    def _position(self, journal: Journal) -> int:
        """The last event that the receiver was told of; of those before it first was there, it hears nothing."""
        mine = [e for e in journal.select(notices.TOLD, newest=LOOKED_AT) if e.data.get("to") == self._receiver.name]
        mine = mine or [e for e in journal.select(notices.TOLD) if e.data.get("to") == self._receiver.name]
        if mine:
            return max(int(event.data["event"]) for event in mine)
        head = journal.head().sequence
        self._note(journal, "notice.began", head, "told of events from here on")
        return head

    def _deliver(self, journal: Journal, event: Event, left: int) -> bool:
        """Tell one event, for as long as it takes; return whether to go on."""
        data, attempts = notices.as_data(self._project, event), 0
        while not self._ended.is_set():
            attempts += 1
            try:
                self._receiver.tell(data)
            except Problem as problem:
                gone = isinstance(problem, Unwanted) and attempts >= notices.MOST_REFUSALS
                self._metrics.notified(self._receiver.name, "lost" if gone else "failed", left - gone)
                self._log.say("warning", "notice.failed", problem.what, to=self._receiver.name, about=event.sequence)
                if gone:
                    why = f"given up after {attempts} attempts: {problem.what}"
                    self._note(journal, "notice.lost", event.sequence, why)
                    return True
                self._ended.wait(notices.wait_after(attempts).total_seconds())
            else:
                self._metrics.notified(self._receiver.name, "sent", left - 1)
                self._note(
                    journal, "notice.sent", event.sequence, f"{event.kind} {event.server or event.group}".strip()
                )
                return True
        return False

    def _note(self, journal: Journal, kind: str, sequence: int, text: str) -> None:
        entry = Entry(
            kind, message=f"{self._receiver.name}: {text}", data={"to": self._receiver.name, "event": sequence}
        )
        journal.record(datetime.now(UTC), [entry])
        self._log.entry(entry)
