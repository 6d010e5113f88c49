"""Has the volumes of sleeping groups put away, beside everything else: it may take long, and nothing waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

from bluestone.fleet.controller.controller import Tick
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.provider import Provider
from bluestone.hours.asleep import Sleeper, sleepers
from bluestone.hours.storage import AWAY
from bluestone.model.ids import slot_name
from bluestone.model.problem import Problem, Refused

RESTORED, FAILED = "volume.restored", "volume.failed"
"""A server was started with a volume again; it could not be put away."""

TRIED_AGAIN = timedelta(minutes=10)
"""How long a volume that could not be put away is left alone."""

_Ended = tuple[Sleeper, "int | Problem | None", datetime]


class SnapshotKeeper:
    """Puts one volume away after the other, in a thread of its own that ends with the process wherever it is.

    `record` writes to the journal, and is only called from `look`; `may_act` raises `Refused` if another may lead;
    `clock` tells when something ended.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        record: Callable[[Iterable[Entry]], None],
        may_act: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._providers = providers
        self._record = record
        self._may_act = may_act
        self._clock = clock
        self._away: dict[str, Sleeper] = {}
        self._failed: dict[str, datetime] = {}
        self._ended: SimpleQueue[_Ended] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def look(self, tick: Tick) -> None:
        """Record what has ended, and begin with what may be put away by now."""
        now = tick.inventory.at
        entries = [*self._collected(now), *self._restored(tick)]
        if entries:
            self._record(entries)
        if self._thread is not None and self._thread.is_alive():
            return
        found = [each for each in sleepers(tick.goals, tick.inventory) if self._is_due(each, now)]
        if found:
            self._thread = threading.Thread(target=self._put_away, args=(found,), name="snapshots", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until what was begun has ended, but no longer than that."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _is_due(self, sleeper: Sleeper, now: datetime) -> bool:
        failed = self._failed.get(sleeper.volume)
        return sleeper.volume not in self._away and (failed is None or not failed <= now < failed + TRIED_AGAIN)

    def _put_away(self, found: Sequence[Sleeper]) -> None:
        for each in found:
            try:
                self._may_act()
                taken = self._providers[each.provider].put_away(each.volume)
                self._ended.put((each, taken, self._clock()))
            except Problem as problem:
                self._ended.put((each, problem, self._clock()))

    def _collected(self, now: datetime) -> Iterable[Entry]:
        while True:
            try:
                sleeper, outcome, ended = self._ended.get_nowait()
            except Empty:
                return
            if isinstance(outcome, Refused):
                continue  # a server came, or another leads: whoever looks next decides anew
            if isinstance(outcome, Problem):
                self._failed[sleeper.volume] = now
                yield Entry(FAILED, sleeper.group, message=f"{sleeper.volume}: {outcome.what}")
                continue
            self._away[sleeper.volume] = sleeper
            if outcome is not None:
                text = f"{sleeper.volume}: its snapshot takes {outcome} bytes"
                data = {"volume": sleeper.volume, "bytes": outcome, "ended": ended.isoformat()}
                yield Entry(AWAY, sleeper.group, message=text, data=data)

    def _restored(self, tick: Tick) -> Iterable[Entry]:
        """A volume that was put away is there again once its slot has a server that runs."""
        running = {slot_name(server.name): server for server in tick.inventory.servers if server.phase == "running"}
        for name in [name for name in self._away if name.partition(".")[0] in running]:
            sleeper = self._away.pop(name)
            server = running[name.partition(".")[0]]
            data = {"volume": name}
            yield Entry(RESTORED, sleeper.group, server.name, f"{name}: laid out again for {server.name}", data)
