"""Realistic events, the same for the same seed: web requests, an application, a database and the system itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
SPAN = timedelta(days=3)
SERVERS = 50
RARE = "zanzibarbolt"
"""A word that stands in one event of `RARE_EVERY`."""

RARE_EVERY = 100_000

METHODS, STATUSES = ("GET", "GET", "GET", "GET", "POST", "PUT"), (200,) * 90 + (304,) * 4 + (404,) * 3 + (500, 502, 503)
AGENTS = tuple(
    f"Mozilla/5.0 ({system}) {engine}/{major}.0"
    for system in ("X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "iPhone")
    for engine in ("Gecko/20100101 Firefox", "AppleWebKit/537.36 Chrome", "Version/17 Safari")
    for major in range(118, 128)
)
PATHS = tuple(
    f"/{area}/{thing}"
    for area in ("api/v1", "api/v2", "shop", "static")
    for thing in (
        "items",
        "basket",
        "orders",
        "users",
        "search",
        "login",
        "logout",
        "app.js",
        "style.css",
        "logo.png",
        "prices",
    )
)
JOBS = ("invoice", "mail", "thumbnail", "index", "cleanup", "export")
TABLES = ("orders", "users", "items", "baskets", "payments", "sessions")


class Event(NamedTuple):
    """One event: its server (0 to `SERVERS` - 1), its time in microseconds since 1970, and its JSON."""

    server: int
    at: int
    body: bytes


def events(count: int, seed: int = 1) -> Iterator[Event]:
    """So many events over `SPAN`, in the order of time."""
    chance = random.Random(seed)
    clients = [".".join(str(chance.randrange(1, 255)) for _ in range(4)) for _ in range(20_000)]
    start, step = int(BEGIN.timestamp() * 1e6), SPAN / timedelta(microseconds=1) / count
    for number in range(count):
        at = start + int(number * step) + int(chance.random() * step)
        server = min(int(chance.paretovariate(1.2)) - 1, 10**9) % SERVERS
        fields = _fields(chance, clients)
        if number % RARE_EVERY == RARE_EVERY // 2:
            fields["message"] = f"{fields['message']} {RARE}"
        when = datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        head = {"@timestamp": when, "host": f"web-{server}", **fields}
        yield Event(server, at, msgspec.json.encode(head))


def _fields(chance: random.Random, clients: list[str]) -> dict[str, object]:
    kind = chance.random()
    if kind < 0.6:
        return _request(chance, clients)
    if kind < 0.85:
        return _job(chance)
    if kind < 0.95:
        return _statement(chance)
    return _system(chance, clients)


def _request(chance: random.Random, clients: list[str]) -> dict[str, object]:
    method, path, status = chance.choice(METHODS), chance.choice(PATHS), chance.choice(STATUSES)
    client, size, took = (
        clients[int(chance.random() ** 3 * len(clients))],
        chance.randrange(80_000),
        chance.expovariate(20),
    )
    return {
        "service": "nginx",
        "level": "error" if status >= 500 else "info",
        "message": f'{client} "{method} {path} HTTP/1.1" {status} {size} in {took:.3f} s',
        "method": method,
        "path": path,
        "status": status,
        "client": client,
        "bytes": size,
        "duration": round(took, 3),
        "agent": chance.choice(AGENTS),
        "request_id": f"{chance.getrandbits(64):016x}",
    }


def _job(chance: random.Random) -> dict[str, object]:
    job, number, failed = chance.choice(JOBS), chance.randrange(10**7), chance.random() < 0.02
    text = "failed: connection reset by peer" if failed else f"done in {chance.randrange(5000)} ms"
    return {
        "service": "worker",
        "level": "error" if failed else "info",
        "message": f"job {job} {number} {text}",
        "job": job,
        "job_id": number,
        "queue": "fast" if number % 3 else "slow",
        "trace_id": f"{chance.getrandbits(128):032x}",
        "thread": f"pool-1-thread-{chance.randrange(16)}",
        "logger": f"com.example.shop.jobs.{job.title()}Worker",
    }


def _statement(chance: random.Random) -> dict[str, object]:
    table, took = chance.choice(TABLES), chance.expovariate(0.05)
    return {
        "service": "postgres",
        "level": "warning" if took > 60 else "info",
        "message": f"duration: {took:.3f} ms  statement: SELECT * FROM {table} WHERE id = {chance.randrange(10**6)}",
        "table": table,
        "duration": round(took / 1000, 3),
        "backend": chance.randrange(1000, 1100),
        "database": "shop",
    }


def _system(chance: random.Random, clients: list[str]) -> dict[str, object]:
    text = chance.choice(
        (
            "Started session-{} of user app.",
            "session closed for user app({})",
            "Reloading nginx, {} workers",
            "Connection closed by {client} port {} [preauth]",
            "oom_reaper: reaped process {}",
            "clock step of {} us",
        )
    ).format(chance.randrange(65_536), client=chance.choice(clients))
    return {
        "service": "systemd",
        "level": "info",
        "message": text,
        "pid": chance.randrange(1, 32_768),
        "facility": "daemon",
    }
