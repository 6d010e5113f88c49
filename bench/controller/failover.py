"""Two controllers on one PostgreSQL, whose leader is stopped and continued.

Whoever leads writes to the journal as fast as it can, and asks before each entry whether it may act. At a random
moment it gets SIGSTOP; once the other leads and has written, it gets SIGCONT, and would write on if it could. Written
under an epoch after a higher one has written is a *stale write*. Also: entries a second on either journal, one and a
hundred in each transaction.

`failover_s` is from SIGSTOP to the other's first entry, the median with a lease of the default length, beside the
longest; the takeovers that are counted are with short leases, several pairs at once.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.controller.bound import Bound
from bluestone.fleet.controller.fence import inheriting
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.lease import LENGTH, Fenced, Holder
from bluestone.fleet.controller.lock import introduce
from bluestone.fleet.journals.postgres import PostgresJournal
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model.event import Event
from bluestone.model.problem import Refused

REPOSITORY = Path(__file__).parents[2]
SHORT = timedelta(seconds=0.3)
WORK = "work.done"
PAUSE = 0.002
"""Seconds between two entries of a leader."""


@dataclass(frozen=True)
class Pair:
    """What two contenders did. `failovers` in seconds; `fenced` is how often one of them was kept from writing."""

    failovers: tuple[float, ...]
    entries: int
    stale_writes: int
    fenced: int
    whole: bool


TAKEOVERS, TIMED, PAIRS = 1000, 10, 6


def measure(bound: Bound) -> dict[str, float]:
    """The values of the part. Starts a PostgreSQL server of its own, which flushes each transaction."""
    from postgres_server import postgres  # the contenders, other processes, do without it

    with postgres(slow=True) as server, ThreadPoolExecutor(PAIRS) as pool:
        slow = contend(server.address, "timed", TIMED, LENGTH)
        each = -(-TAKEOVERS // PAIRS)

        def pair(number: int) -> Pair:
            return contend(server.address, f"pair-{number}", each, SHORT, enough=lambda: not bound.left)

        found = list(pool.map(pair, range(PAIRS)))
        bound.over(sum(len(pair.failovers) for pair in found), TAKEOVERS)
        assert all(pair.whole for pair in (slow, *found)), "a journal is not whole"
        rates = _rates(server.address)
    return {
        "failover_s": round(median(slow.failovers), 3),
        "failover_worst_s": round(max(slow.failovers), 3),
        "lease_s": LENGTH.total_seconds(),
        "takeovers": len(slow.failovers) + sum(len(pair.failovers) for pair in found),
        "stale_writes": slow.stale_writes + sum(pair.stale_writes for pair in found),
        "kept_from_writing": slow.fenced + sum(pair.fenced for pair in found),
        "entries": slow.entries + sum(pair.entries for pair in found),
        **rates,
    }


def contend(
    address: str,
    project: str,
    takeovers: int,
    length: timedelta,
    *,
    unfenced: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> Pair:
    """Let two controllers take over from each other so many times, or until it is `enough`.

    With `unfenced` they heed neither lease nor epoch once they lead: what a lease alone would be worth.
    """
    journal = PostgresJournal(project, address)
    failovers = []
    with _contenders(address, project, length, unfenced=unfenced) as contenders:
        leader = _next_leader(journal, 0)
        for _ in range(takeovers):
            if enough():
                break
            time.sleep(random.uniform(0, length.total_seconds()))
            # It may have lost the lease meanwhile without being stopped: this machine is busy.
            leader = journal.last([WORK]) or leader
            pid = int(leader.data["pid"])
            contenders[pid].send_signal(signal.SIGSTOP)
            stopped = datetime.now(UTC)
            try:
                leader = _next_leader(journal, int(leader.data["epoch"]))
            finally:
                contenders[pid].send_signal(signal.SIGCONT)
            failovers.append((leader.at - stopped).total_seconds())
        time.sleep(length.total_seconds())
    said = [contender.stdout.read() for contender in contenders.values() if contender.stdout]
    events = [event for event in journal.events() if event.kind == WORK]
    whole = journal.verify() is None
    journal.close()
    stale = _stale(int(event.data["epoch"]) for event in events)
    return Pair(tuple(failovers), len(events), stale, sum(map(int, said)), whole)


def _stale(epochs: Iterable[int]) -> int:
    highest = stale = 0
    for epoch in epochs:
        stale += epoch < highest
        highest = max(highest, epoch)
    return stale


def _next_leader(journal: Journal, epoch: int) -> Event:
    """The first entry under an epoch above this one, waited for."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = [event for event in journal.select([WORK], newest=50) if int(event.data["epoch"]) > epoch]
        if found:
            return found[-1]
        time.sleep(0.005)
    raise AssertionError(f"nobody took over from epoch {epoch}")


@contextmanager
def _contenders(
    address: str, project: str, length: timedelta, *, unfenced: bool
) -> Iterator[dict[int, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "bench.controller.failover", address, project, str(length.total_seconds())]
    command += ["unfenced"] if unfenced else []
    started = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        yield {one.pid: one for one in started}
    finally:
        for one in started:
            one.send_signal(signal.SIGCONT)
            one.terminate()
        for one in started:
            one.wait(30)


def _work(address: str, project: str, length: timedelta, *, unfenced: bool) -> None:
    """Be a contender until SIGTERM; then say how often it was kept from writing."""
    stop, fenced = threading.Event(), 0
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    journal = PostgresJournal(project, address)
    # A journal that never took the lease writes whoever leads.
    writing = PostgresJournal(project, address) if unfenced else journal
    while not stop.is_set():
        with inheriting(journal, introduce(f"host-{os.getpid()}"), stop, length=length) as lease:
            if lease is None:
                break
            data = {"epoch": lease.epoch, "pid": os.getpid()}
            try:
                while not stop.wait(PAUSE):
                    writing.fence.may_act()
                    writing.record(datetime.now(UTC), [Entry(WORK, data=data)])
                    if unfenced and journal.fence.lost:
                        break
            except (Fenced, Refused):
                fenced += 1
    journal.close()
    print(fenced)


def _rates(address: str) -> dict[str, float]:
    """Entries a second, with one and with a hundred in each transaction, each on the disk when it ends."""
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bs-rates-", dir="/var/tmp") as directory:
        journals: dict[str, Journal] = {
            "sqlite": SqliteJournal(Path(directory) / "journal.db"),
            "postgres": PostgresJournal("rates", address),
        }
        for name, journal in journals.items():
            journal.take(Holder("bench", "", "", 0, "", "", datetime.now(UTC)), timedelta(hours=1))
            for batch, rounds in ((1, 500), (100, 50)):
                entries = [Entry("server.create", "web", "web-1-0123abcd-1", "because", {"slot": 1})] * batch
                began = time.perf_counter()
                for _ in range(rounds):
                    journal.record(datetime.now(UTC), entries)
                rates[f"{name}_appends_s_{batch}"] = round(batch * rounds / (time.perf_counter() - began))
            journal.close()
    return rates


if __name__ == "__main__":
    _address, _project, _seconds, *_how = sys.argv[1:]
    _work(_address, _project, timedelta(seconds=float(_seconds)), unfenced="unfenced" in _how)
