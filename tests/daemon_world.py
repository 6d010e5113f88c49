"""A project whose servers and balancer are in memory, and a real daemon: its line of work, its doors."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.fleet import goals, rollout
from bluestone.app.fleet import up as forward
from bluestone.app.fleet.rollout import tell_nobody
from bluestone.app.fleet.up import Arrival
from bluestone.app.project import Caller, Project
from bluestone.daemon import api, lead, presence
from bluestone.daemon.leader import Leader
from bluestone.daemon.log import Log
from bluestone.daemon.metrics import Metrics
from bluestone.daemon.run import OWNER_ONLY
from bluestone.fleet.controller.journal import Entry
from bluestone.host.paths import Home
from bluestone.logs.receive.listening import Server, configuration, listen_unix
from bluestone.model.declaration import Store
from bluestone.model.inventory import Backend
from bluestone.model.problem import Problem
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.provider import Cloud, SimulatedProvider

FILE = """\
project = "shop"
[image]
base = "debian:trixie"
packages = ["{package}"]
[servers.web]
provider = "memory"
count = {count}
ports = ["18080:80"]
[servers.web.secrets]
TOKEN = "env:SHOP_TOKEN"
[servers.web.rollout]
strategy = "rolling"
max_surge = 3
progress = "5s"
"""


class Balancer(MemoryBalancer):
    """Finds every server healthy that runs, but for those that are `sick`: a part of their names."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self.sick = "none"
        self._cloud = cloud
        self.runs = False

    def ensure(self, services: Any) -> None:
        self.runs = True
        super().ensure(services)

    def is_running(self) -> bool:
        return self.runs

    def stop(self) -> None:
        self.runs = False

    def list_backends(self) -> list[Backend]:
        running = {name for (_, name), server in self._cloud.servers.items() if server.phase == "running"}
        for name, seat in self.seats.items():
            seat.health = "up" if name in running and self.sick not in name else "down"
        return list(super().list_backends())


@dataclass
class Receiver:
    """A receiver of log lines that only knows whether it runs."""

    runs: bool = False
    broken: bool = False

    def ensure(self) -> None:
        if self.broken:
            raise Problem("the log receiver did not start")
        self.runs = True

    def answers(self) -> bool:
        return self.runs

    def stop(self) -> None:
        self.runs = False


@dataclass
class World:
    """One project on a machine of its own."""

    directory: Path
    cloud: Cloud = field(default_factory=Cloud)
    receiver: Receiver = field(default_factory=Receiver)
    blind: bool = False

    def __post_init__(self) -> None:
        self.home = Home(self.directory / "s", self.directory / "r")
        self.balancer = Balancer(self.cloud)
        self.file = self.directory / "bluestone.toml"
        self.write()

    def write(self, *, package: str = "nginx", count: int = 2) -> None:
        self.file.write_text(FILE.format(package=package, count=count))

    def open(self) -> Project:
        return replace(Project.open(self.file), home=self.home)

    @property
    def names(self) -> set[str]:
        return {name for _, name in self.cloud.servers}

    def serving(self) -> set[str]:
        return self.balancer.receivers("web")

    def kill(self, name: str) -> None:
        key = ("shop", name)
        self.cloud.servers[key] = replace(self.cloud.servers[key], phase="dead", detail="killed")

    def events(self, kind: str = "") -> list[str]:
        journal = self.open().journal
        try:
            return [event.message for event in journal.events() if event.kind == kind or not kind]
        finally:
            journal.close()

    def record(self, *entries: Entry) -> None:
        journal = self.open().journal
        journal.record(datetime.now(UTC), entries)
        journal.close()

    # What stands for adapters.

    def providers(self, project: Project, names: Iterable[str]) -> dict[str, SimulatedProvider]:
        made = SimulatedProvider(project.name, lambda: datetime.now(UTC), self.cloud)
        if self.blind:
            made.list_servers = self._nothing_to_see  # type: ignore[method-assign]
        return {"memory": made}

    def _nothing_to_see(self) -> list[Any]:
        raise Problem("the machine does not answer")

    def build(self, project: Project, progress: Callable[[str], None], *, exact: bool = False) -> Any:
        progress("building")
        name = project.declaration.recipe.packages[0]
        return SimpleNamespace(digest="sha256:" + (name.encode().hex() * 64)[:64], writable=())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "h"))
    monkeypatch.setattr(Home, "find", classmethod(lambda cls: made.home))
    monkeypatch.setattr(wiring, "providers", made.providers)
    monkeypatch.setattr(wiring, "balancer", lambda _: made.balancer)
    monkeypatch.setattr(wiring, "receiver", lambda *_: made.receiver)
    monkeypatch.setattr(wiring, "log_files", lambda *_: {})
    store = SimpleNamespace(get=lambda _: SimpleNamespace(writable=()), require_sound=lambda _: None)
    monkeypatch.setattr(wiring, "images", lambda _: store)
    monkeypatch.setattr(forward, "build", made.build)
    for module in (goals, rollout):
        monkeypatch.setattr(module, "require_signed", lambda *_: None)
    return made


class Running:
    """A daemon in threads of this process."""

    def __init__(self, world: World, every: timedelta, *, shared: bool) -> None:
        self.project = world.open()
        if shared:
            elsewhere = replace(self.project.declaration, store=Store("postgresql://db/fleet"))
            self.project = self.project.renewed(declaration=elsewhere)
        self.said = io.StringIO()
        self.metrics = Metrics()
        log = Log("shop", self.said)
        self.told: list[str] = []
        self.leader = Leader(self.project, every, log, self.metrics, lambda entry: self.told.append(entry.kind))
        signs = api.Signs(self.leader, self.metrics, 1, datetime.now(UTC), timedelta(minutes=2))
        self._server = Server(configuration(api.commanding(signs)))
        self._door = listen_unix(presence.socket_of(self.project), OWNER_ONLY)
        self._threads = [
            threading.Thread(target=self.leader.run),
            threading.Thread(target=lambda: asyncio.run(self._server.serve([self._door]))),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        until(lambda: self._server.started and self.leader.began.is_set(), "the daemon has begun")

    def stop(self) -> None:
        self.leader.stop()
        self._threads[0].join()
        self._server.should_exit = True
        self._threads[1].join()
        presence.socket_of(self.project).unlink()

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.said.getvalue().splitlines()]
        return [line for line in found if line["event"] == event]


@contextmanager
def daemon(world: World, every: timedelta = timedelta(seconds=60), *, shared: bool = False) -> Iterator[Running]:
    """A daemon that runs meanwhile; with `shared`, of a journal that it shares with other machines."""
    running = Running(world, every, shared=shared)
    running.start()
    try:
        yield running
    finally:
        running.stop()


APACHE = "61706163"
"""In the names of servers whose image has apache."""


def ask_up(world: World, **changes: Any) -> Arrival:
    project = replace(world.open(), caller=Caller("eve", {"SHOP_TOKEN": "s3cret", "OTHER": "not for anybody"}))
    heard = {"notify": tell_nobody, "watch": tell_nobody, "progress": tell_nobody} | changes
    return lead.up(project, None, exact=False, **heard)


def until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)
