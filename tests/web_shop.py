"""A made-up shop's log store, the same every time: for tests of the web page, and for its pictures in the docs."""

from __future__ import annotations

import json
import random
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store
from bluestone.model.record import Identity

DECLARATION = (
    'project = "shop"\n[image]\nbase = "debian:trixie"\n[servers.web]\ncount = 2\n[servers.worker]\ncount = 1\n'
)
BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTES = 360
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)> \u202etxt.exe \x1b[31mred"
PATHS = ("/", "/cart", "/checkout", "/search?q=blue+stone", "/item/4711", "/api/stock")


def declare(directory: Path) -> Path:
    """The shop's declaration."""
    file = directory / "bluestone.toml"
    file.write_text(DECLARATION)
    return file


class Shop:
    """The shop's servers, writing."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._store, self._credentials = Store(logs), Credentials(logs)
        self._count = 0

    def write(self, server: str, *lines: dict[str, str], at: datetime | None = None) -> None:
        """Lines of a server, now or at a moment, in one batch."""
        moment = at or datetime.now(UTC)
        group = server.partition("-")[0]
        holder = self._credentials.server(server)
        if holder is None:
            generation = 4 if server.endswith("-9") else 3
            identity = Identity("shop", server, group, generation, f"sha256:{generation:064x}")
            self._credentials.mint(identity)
            holder = self._credentials.server(server)
        assert holder is not None
        batch = []
        for line in lines:
            self._count += 1
            stamp = int(moment.timestamp() * 1_000_000) + int(line.get("_OFFSET", "0"))
            fields = {name: value for name, value in line.items() if name != "_OFFSET"}
            fields |= {"__CURSOR": f"s=1;i={self._count:x}", "__REALTIME_TIMESTAMP": str(stamp)}
            batch.append(parse_line(json.dumps(fields).encode(), 1))
        self._store.append([Batch(holder, tuple(batch))])

    def seal(self) -> None:
        """Have what is there in segments."""
        self._store.turn()
        seal(self.logs)

    def close(self) -> None:
        """Close the store."""
        self._store.close()
        self._credentials.close()


def fill(logs: Path) -> None:
    """A morning of the shop: visits, jobs, an outage of the database around half past eleven, and a hostile visitor."""
    chance = random.Random(7)
    with closing(Shop(logs)) as shop:
        for server in ("web-1-3a1f-7", "web-2-3a1f-9", "worker-1-9bc2-4"):
            lines = []
            for minute in range(MINUTES):
                outage = 208 <= minute < 226 and server != "worker-1-9bc2-4"
                busy = 2 + int(4 * (1 - abs(minute - 200) / 220)) + (4 if outage else 0)
                for _ in range(busy if server.startswith("web") else 1):
                    offset = (minute * 60 + chance.random() * 60) * 1_000_000
                    make = job if server.startswith("worker") else visit
                    lines.append(make(chance, outage=outage) | {"_OFFSET": str(int(offset))})
            shop.write(server, *sorted(lines, key=lambda line: int(line["_OFFSET"])), at=BEGIN)
        shop.write(
            "web-1-3a1f-7",
            {"MESSAGE": HOSTILE, "PRIORITY": "4", "_SYSTEMD_UNIT": "nginx.service", "agent": '"><svg onload=alert(2)>'},
            at=BEGIN.replace(hour=13, minute=59),
        )
        shop.seal()


def visit(chance: random.Random, *, outage: bool) -> dict[str, str]:
    """A request and what came of it."""
    path, failed = chance.choice(PATHS), chance.random() < (0.7 if outage else 0.012)
    if failed:
        return {
            "MESSAGE": f"GET {path}: connection to db-1 refused after {chance.randint(2000, 3000)} ms",
            "PRIORITY": "3",
            "_SYSTEMD_UNIT": "shop.service",
            "status": "503",
            "path": path,
            "request": f"{chance.getrandbits(40):010x}",
        }
    slow = chance.random() < 0.05
    took = chance.randint(800, 1900) if slow else chance.randint(4, 90)
    return {
        "MESSAGE": f"GET {path} 200 in {took} ms" + (": slow query on orders" if slow else ""),
        "PRIORITY": "4" if slow else "6",
        "_SYSTEMD_UNIT": "shop.service",
        "status": "200",
        "path": path,
        "request": f"{chance.getrandbits(40):010x}",
    }


def job(chance: random.Random, *, outage: bool) -> dict[str, str]:
    """What the worker does."""
    kind = chance.choice(("invoice", "mail", "stock"))
    return {
        "MESSAGE": f"job {kind} {chance.randint(10_000, 99_999)} done in {chance.randint(1, 40)} s",
        "PRIORITY": "7" if kind == "stock" else "5" if outage else "6",
        "_SYSTEMD_UNIT": "jobs.service",
        "job": kind,
    }
