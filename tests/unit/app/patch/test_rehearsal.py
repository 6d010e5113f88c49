"""A server of a patched image, tried beside the fleet: what lets it pass, what does not, and what is left of it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.patch import rehearsal
from bluestone.app.patch.rehearsal import passes, rehearse
from bluestone.fleet.controller.journal import Entry
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group, Health, Port, RolloutPolicy
from bluestone.model.ids import Digest
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, Server, ServerSpec

HEALTH = Health(path="/health", interval=timedelta(milliseconds=1), timeout=timedelta(seconds=1))
POLICY, BRIEF = RolloutPolicy(progress=timedelta(minutes=1)), RolloutPolicy(progress=timedelta(milliseconds=50))
GROUP = Group("web", count=3, ports=(Port(8080, 80),), health=HEALTH, rollout=POLICY)
GOAL = Goal(GROUP, Generation("web", 2, Digest("sha256:" + "a" * 64), ServerConfig.of(GROUP, "")))
NAME = "web-1-aaaaaaaa-7"


@pytest.fixture(scope="module")
def address() -> Iterator[Endpoint]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Endpoint("127.0.0.1", {80: found.server_address[1]})
    found.shutdown()
    found.server_close()
    thread.join()


class World:
    """A provider of one server, and the site and the log store around it."""

    def __init__(self, endpoint: Endpoint, lines: Sequence[str] = ("started",)) -> None:
        self.endpoint, self.lines, self.dies = endpoint, lines, ""
        self.there: Server | None = None
        self.noted: list[str] = []
        self.revoked: list[str] = []
        self.project = SimpleNamespace(journal=self, logs=self)

    # the journal and the site
    def next_incarnation(self) -> int:
        return 7

    def record(self, entries: Sequence[Entry], *, incarnations: int = 0) -> None:
        self.noted += [f"{each.kind} {each.server} {incarnations}".strip() for each in entries]

    def outfit(self, create: Any) -> ServerSpec:
        return ServerSpec("shop", create.slot, create.incarnation, create.generation)

    def destroyed(self, server: str) -> None:
        self.revoked.append(server)

    # the provider
    def create(self, spec: ServerSpec) -> Server:
        at = datetime(2026, 11, 30, tzinfo=UTC)
        args = spec.name, "web", 1, 7, 2, spec.generation.image, spec.generation.config.digest()
        self.there = Server(*args, "running", at, self.endpoint)
        if self.dies:
            self.there = replace(self.there, phase="dead", detail=self.dies)
        return self.there

    def list_servers(self) -> list[Server]:
        return [self.there] if self.there else []

    def console(self, _: str, lines: int) -> list[str]:
        return ["on the console"][:lines]

    # the log store
    def last_lines(self, _: str, count: int) -> list[Any]:
        at = datetime(2026, 11, 30, 8, tzinfo=UTC)
        return [SimpleNamespace(at=at, unit="nginx", message=line) for line in self.lines[-count:]]

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Any:
    def try_it(world: World, goal: Goal = GOAL) -> Any:
        def room(*_: object) -> Any:
            return closing(world)

        monkeypatch.setattr(rehearsal, "Archive", lambda logs: logs)
        monkeypatch.setattr(rehearsal, "room", room)
        monkeypatch.setattr(rehearsal, "LOOKS", 0.0)
        monkeypatch.setattr(wiring, "provider_beside", lambda *_: world)
        monkeypatch.setattr(wiring, "name_beside", lambda _: "shop.beside")
        site: Any = world
        return rehearse(site, goal, "p1", lambda _: None)

    return try_it


def test_one_that_is_healthy_and_speaks_passes_and_is_gone(tried: Any, address: Endpoint) -> None:
    world = World(address)
    assert tried(world) is None
    assert world.noted == [f"patch.rehearses {NAME} 7", f"patch.rehearsed {NAME} 0"]
    assert world.revoked == [NAME], "what it was let in with to send lines is taken back"


def test_one_that_is_not_healthy_fails_with_its_last_lines(tried: Any, address: Endpoint) -> None:
    ill = replace(GROUP, health=replace(HEALTH, path="/else"), rollout=BRIEF)
    failed = tried(World(address, lines=("no such page",)), replace(GOAL, group=ill))
    assert "did not become healthy: port 80: /else is answered 503 (within 0.05 s)" in failed.reason
    assert (failed.server, failed.last_lines) == (NAME, ("08:00:00 nginx: no such page",))


def test_one_that_is_silent_fails_with_its_console(tried: Any, address: Endpoint) -> None:
    world = World(address, lines=())
    failed = tried(world, replace(GOAL, group=replace(GROUP, ports=(), rollout=BRIEF)))
    assert "none of its log lines arrived" in failed.reason
    assert failed.last_lines == ("on the console",)
    assert world.noted == [f"patch.rehearses {NAME} 7"], "it is tried again the next time"


def test_one_that_ends_or_does_not_begin_fails_at_once(tried: Any, address: Endpoint) -> None:
    world = World(address)
    world.dies = "exit code 1"
    patient = replace(GROUP, health=replace(HEALTH, path="/else"))
    assert "ended: exit code 1" in tried(world, replace(GOAL, group=patient)).reason

    class Full(World):
        def create(self, spec: ServerSpec) -> Server:
            raise Problem(f"no room for {spec.name}", mend="make some")

    assert "no room" in tried(Full(address)).reason


def test_without_ports_a_line_is_enough(tried: Any, address: Endpoint) -> None:
    assert tried(World(address), replace(GOAL, group=replace(GROUP, ports=()))) is None


def test_a_check_is_the_groups_own(address: Endpoint) -> None:
    assert passes(address, 80, HEALTH) == ""
    assert passes(address, 80, replace(HEALTH, path=None)) == ""
    assert passes(Endpoint("127.0.0.1", {80: 1}), 80, HEALTH) == "port 80: Connection refused"
