"""The events of a benchmark in a file, and what is true of them, found by looking at each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.logs.events import RARE, Event, events

HOUR = 3_600_000_000
HOST, HOUR_ASKED = 3, 30
"""The server that is asked about, and which hour."""

FIELD = "path"
WORD = "reset"


@dataclass
class Truth:
    """Counts over all events. `bytes` is their size as lines of JSON."""

    events: int = 0
    bytes: int = 0
    rare: int = 0
    word: int = 0
    host_hour: int = 0
    hours: Counter[int] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)

    def top(self) -> list[tuple[str, int]]:
        """The ten most frequent values, as the stores are asked for them."""
        return sorted(self.values.items(), key=lambda item: (-item[1], item[0]))[:10]


def write(path: Path, count: int) -> Truth:
    """Write so many events to a file, and look at each."""
    truth = Truth()
    with path.open("wb") as file:
        for event in events(count):
            document = json.loads(event.body)
            truth.events += 1
            truth.bytes += len(event.body) + 1
            truth.rare += RARE in document["message"].split()
            truth.word += WORD in document["message"].split()
            hour = event.at // HOUR
            truth.hours[hour] += 1
            truth.host_hour += event.server == HOST and hour == asked_hour()
            if FIELD in document:
                truth.values[document[FIELD]] += 1
            file.write(b"%d %d %b\n" % event)
    return truth


def read(path: Path) -> Iterator[Event]:
    """The events of a file."""
    with path.open("rb") as file:
        for line in file:
            server, at, body = line.rstrip(b"\n").split(b" ", 2)
            yield Event(int(server), int(at), body)


def asked_hour() -> int:
    """The hour that is asked about, in hours since 1970."""
    from bench.logs.events import BEGIN

    return int(BEGIN.timestamp() * 1e6) // HOUR + HOUR_ASKED
