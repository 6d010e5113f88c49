"""bluestone's store: written through its receiver, asked in this process, as `bluestone logs` asks it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.logs.events import RARE, SERVERS, Event
from bench.logs.sending import BATCH, CONNECTIONS, posted
from bench.logs.truth import FIELD, HOST, HOUR, WORD, Truth, asked_hour
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.query.language import parse_query
from bluestone.logs.query.statistics import count, histogram, top
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.service import Receiver
from bluestone.logs.store.seal import seal
from bluestone.model.record import Identity


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("bluestone", timeout=120)
        self._path = path

    def connect(self) -> None:
        """Connect to it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(str(self._path))


class Ours:
    """A running receiver over a store in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.seconds = directory, 0.0
        self._store, self._sent = directory / "store", 0
        credentials = Credentials(self._store)
        self._tokens = [credentials.mint(Identity("shop", f"web-{n}", "web", 1, "sha256:1")) for n in range(SERVERS)]
        credentials.close()
        self._receiver = Receiver(self._store, directory / "run")
        self._receiver.ensure()
        self._idle = [Connection(self._receiver.socket) for _ in range(CONNECTIONS)]

    def batches(self, events: Sequence[Event]) -> list[tuple[int, bytes]]:
        """Of one server each, as its shipper sends them."""
        self._sent += len(events)
        found: list[tuple[int, bytes]] = []
        waiting: dict[int, list[bytes]] = {}
        for server, _, body in events:
            batch = waiting.setdefault(server, [])
            batch.append(body)
            if len(batch) == BATCH:
                found.append((server, b"\n".join(waiting.pop(server))))
        return found + [(server, b"\n".join(batch)) for server, batch in waiting.items()]

    def take(self, batches: Sequence[tuple[int, bytes]]) -> None:
        """Post them; asked to wait, do so."""
        posted(self._post, batches)

    def processes(self) -> list[int]:
        """The receiver and what seals."""
        return [process for _, process in processes(self._store)]

    def finish(self) -> dict[str, float]:
        """Wait until all is sealed, and end it: rates in events/s, sizes in MB."""
        began = time.monotonic()
        while len(list((self._store / "wal").glob("*.wal"))) > 1:
            time.sleep(0.2)
        sealing = time.monotonic() - began
        memory = peak_memory(self._store)
        self._receiver.stop()
        seal(self._store, through=1 << 30)
        return {
            "ingest_per_s": self._sent / self.seconds,
            "sealed_per_s": self._sent / (self.seconds + sealing),
            "disk_mb": size(self._store) / 1e6,
            **memory,
        }

    def stop(self) -> None:
        """End it, if it runs."""
        self._receiver.stop()

    def _post(self, server: int, body: bytes) -> None:
        connection = self._idle.pop()
        try:
            while True:
                head = {"Authorization": f"Bearer {self._tokens[server]}"}
                connection.request("POST", "/v1/lines", body, head)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    return
                assert answer.status == 429, answer.status
                time.sleep(0.05)
        finally:
            self._idle.append(connection)


class Reading:
    """Its store, open to be asked, as in a process that serves."""

    def __init__(self, directory: Path, truth: Truth) -> None:
        self._archive, self._truth = Archive(directory / "store"), truth

    def questions(self) -> dict[str, Callable[[], None]]:
        """What asks it."""
        archive, truth = self._archive, self._truth
        begin = datetime.fromtimestamp(asked_hour() * HOUR / 1e6, UTC)
        hour = Query(server=f"web-{HOST}", since=begin, until=begin + timedelta(hours=1), limit=1000)
        return {
            "rare_word": lambda: _check(len(list(archive.search(_find(RARE, 100)))), min(truth.rare, 100)),
            "host_hour": lambda: _check(len(list(archive.search(hour))), min(truth.host_hour, 1000)),
            "histogram": lambda: _check(_hours(archive, Query()), dict(truth.hours)),
            "top10": lambda: _check(list(top(archive, Query(), FIELD).values), truth.top()),
            "word_count": lambda: _check(count(archive, _find(WORD)), truth.word),
            "top10_of_errors": lambda: _check(top(archive, _find("status:>=500"), FIELD).lines > 0, True),
        }

    def cpu(self) -> float:
        """Of this process."""
        return time.process_time()

    def close(self) -> None:
        """Close it."""
        self._archive.close()


def _check(answer: object, wanted: object) -> None:
    assert answer == wanted, f"{answer} is not {wanted}"


def _find(text: str, limit: int | None = None) -> Query:
    return Query(where=parse_query(text), limit=limit)


def _hours(archive: Archive, query: Query) -> dict[int, int]:
    bars = histogram(archive, query, timedelta(hours=1)).bars
    return {int(bar.at.timestamp()) // 3600: bar.lines for bar in bars}


def processes(store: Path) -> Iterator[tuple[str, int]]:
    """What serves a store: the name of its figure, and its process."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        for name, module in (("receiver_mb", b"receiver\0"), ("sealer_mb", b"store.seal\0")):
            if module in command and os.fsencode(store) in command:
                yield name, int(process.name)


def peak_memory(store: Path) -> dict[str, float]:
    """The largest resident sizes, in MB, of the processes that serve a store, and the CPU seconds they took."""
    found = {"receiver_mb": 0.0, "sealer_mb": 0.0, "ingest_cpu_s": 0.0}
    for name, process in processes(store):
        found[name] = peak(process)
        found["ingest_cpu_s"] += cpu_seconds(process)
    return found


def peak(process: int) -> float:
    """A process's resident size at its largest, in MB."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) / 1e3


def cpu_seconds(pid: int) -> float:
    """What a process took so far: on a machine with other work the fairer figure."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size(directory: Path) -> int:
    """Bytes of the files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def reading_memory(directory: Path) -> float:
    """The largest resident size, in MB, of a process that asks a store."""
    code = (
        "from pathlib import Path; from bluestone.logs.query.archive import Archive\n"
        "from bluestone.logs.query.asked import Query; from bluestone.logs.query.statistics import count, top\n"
        f"archive = Archive(Path({str(directory / 'store')!r})); "
        "count(archive, Query()); top(archive, Query(), 'path')\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(asked.stdout) / 1e3
