"""The events of a benchmark in a file, and what is true of them, found by looking at each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from bench.logs import events as _events
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
    hours: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    values: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def top(self) -> list[tuple[str, int]]:
        """The ten most frequent values, as the stores are asked for them."""
        return sorted(self.values.items(), key=lambda item: (-item[1], item[0]))[:10]


class _Looked(msgspec.Struct):
    message: str
    path: str | None = None


def write(path: Path, count: int) -> Truth:
    """Write so many events to a file, and look at each."""
    truth = Truth()
    look = msgspec.json.Decoder(_Looked).decode
    with path.open("wb") as file:
        for event in events(count):
            looked = look(event.body)
            words = looked.message.split()
            truth.events += 1
            truth.bytes += len(event.body) + 1
            truth.rare += RARE in words
            truth.word += WORD in words
            hour = event.at // HOUR
            truth.hours[hour] += 1
            truth.host_hour += event.server == HOST and hour == asked_hour()
            if looked.path is not None:
                truth.values[looked.path] += 1
            file.write(b"%d %d %b\n" % event)
    return truth


def prepared(cache: Path, count: int) -> tuple[Path, Truth]:
    """A file of so many events and its truth: those of the last run, if they were made in the same way."""
    made = sha256(Path(_events.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    name = f"events-{count}-{made}"
    path, truth = cache / name, cache / f"{name}.truth"
    if not truth.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob("events-*"):
            old.unlink()
        truth.write_bytes(msgspec.msgpack.encode(write(path, count)))
    return path, msgspec.msgpack.decode(truth.read_bytes(), type=Truth)


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
