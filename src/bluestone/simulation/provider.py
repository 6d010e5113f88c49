"""A provider whose servers exist in memory only, in virtual time.

The fault model. Without faults every call takes effect at once and its answer arrives: a created server runs,
a destroyed one is gone, and the list is true and whole. `SimulatedProvider.fault(verb, kind)` spoils the next
call of a verb:

- `not-done`: it raises `Problem`, and nothing has changed.
- `lost-answer`: it raises `Problem`, and its effect took place all the same. (For `list` there is none.)
- `still-attached` (of `create` alone): it raises `Problem`, and nothing has changed: a volume of the server's slot is
  still on a server that the list does not show any more.
- `half-done`: it raises `Problem`, and the server stays as a crash in the middle would leave it: a created
  one was never started (`creating`), a destroyed one was asked to stop (`stopping`).

Servers die only when told to (`die`). Time passes only when the clock that was handed in says so. Not
modelled: stale lists, calls that take long, addresses that run out.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from bluestone.model.drift import Bystander, Examination, Login
from bluestone.model.generation import Generation
from bluestone.model.problem import NoRoom, Problem, Refused
from bluestone.model.server import Endpoint, Phase, Server, ServerSpec
from bluestone.model.volume import Volume, volume_name

Verb = Literal["list", "create", "destroy"]
Fault = Literal["not-done", "lost-answer", "half-done", "still-attached"]


@dataclass
class Cloud:
    """Where simulated servers of all projects are, by project and name, with what they were handed.

    `found` is what an examination finds, of those that are not as they were made; `memory` is the most, in bytes, that
    a server may have which has a choice.
    """

    servers: dict[tuple[str, str], Server] = field(default_factory=dict)
    bootfiles: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    volumes: dict[tuple[str, str], Volume] = field(default_factory=dict)
    found: dict[tuple[str, str], Examination] = field(default_factory=dict)
    memory: int = 1 << 40


class SimulatedProvider:
    """The provider port on a `Cloud`; `clock` tells the virtual time."""

    list_lag = timedelta(0)

    def __init__(self, project: str, clock: Callable[[], datetime], cloud: Cloud | None = None) -> None:
        self._project = project
        self._clock = clock
        self._cloud = cloud if cloud is not None else Cloud()
        self._faults: dict[Verb, deque[Fault]] = {"list": deque(), "create": deque(), "destroy": deque()}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def list_servers(self) -> Sequence[Server]:
        """Every server of the project."""
        with self._lock, self._spoiled("list"):
            return self._servers()

    def create(self, spec: ServerSpec) -> None:
        """Have the server run."""
        key = (self._project, spec.name)
        with self._lock, self._spoiled("create") as fault:
            server = self._cloud.servers.get(key) or _born(spec, self._clock())
            if spec.choice and (spec.resources.memory or 0) > self._cloud.memory:
                raise NoRoom(f"there is no room for {spec.name}")
            if server.phase not in ("creating", "running"):
                raise Problem(f"the server {spec.name} exists and is {server.phase}", mend="destroy it first")
            if fault not in ("not-done", "still-attached"):
                self._attach(spec)
                phase: Phase = "creating" if fault == "half-done" and server.phase == "creating" else "running"
                self._cloud.servers[key] = replace(server, phase=phase)
                self._cloud.bootfiles.setdefault(key, dict(spec.bootfiles))

    def destroy(self, name: str, grace: timedelta) -> None:  # noqa: ARG002 (no server needs its grace)
        """Have the server gone."""
        key = (self._project, name)
        with self._lock, self._spoiled("destroy") as fault:
            if fault == "half-done" and key in self._cloud.servers:
                self._cloud.servers[key] = replace(self._cloud.servers[key], phase="stopping")
            elif fault != "not-done":
                self._cloud.servers.pop(key, None)
                self._cloud.bootfiles.pop(key, None)

    def list_volumes(self) -> Sequence[Volume]:
        """Every volume of the project, and the server that holds it."""
        with self._lock:
            mine = [volume for (project, _), volume in self._cloud.volumes.items() if project == self._project]
            holders = self._holders()
            return [replace(volume, server=holders.get(volume.name, "")) for volume in mine]

    def ensure_volumes(self, generation: Generation, slots: Sequence[int]) -> None:
        """Have the volumes of these slots."""
        with self._lock:
            self._make_volumes(generation, slots)

    def put_away(self, name: str) -> int | None:
        """Have the volume be a snapshot, which takes a tenth of its size."""
        with self._lock:
            if holder := self._holders().get(name):
                raise Refused(f"the volume {name} is on {holder}")
            volume = self._cloud.volumes.get((self._project, name))
            if volume is None or volume.snapshot is not None:
                return None
            taken = max(1, (volume.size or 0) // 10)
            self._cloud.volumes[self._project, name] = replace(volume, snapshot=taken)
            return taken

    def remove_volume(self, name: str) -> None:
        """Have the volume gone."""
        with self._lock:
            if holder := self._holders().get(name):
                raise Refused(f"the volume {name} is on {holder}")
            self._cloud.volumes.pop((self._project, name), None)

    def console(self, name: str, lines: int) -> Sequence[str]:
        """The server's phase, and why it is dead."""
        with self._lock:
            server = self._cloud.servers.get((self._project, name))
        if server is None:
            raise Problem(f"there is no server {name}", mend="see `bluestone servers`")
        return [f"{name} is {server.phase} {server.detail}".rstrip()][:lines]

    def examine(self, servers: Sequence[Server]) -> Sequence[Examination]:
        """What was done to each that runs: nothing, unless `log_in` or `alter` was called."""
        now = self._clock()
        with self._lock:
            names = {server.name for server in servers}
            running = [s.name for s in self._servers() if s.name in names and s.phase == "running"]
            found = [self._cloud.found.get((self._project, name), Examination(name, now)) for name in running]
        return [replace(each, at=now) for each in found]

    def list_bystanders(self) -> Sequence[Bystander]:
        """There is nobody beside simulated servers."""
        return ()

    def clear(self) -> None:
        """There is nothing to remove, unless servers exist."""
        with self._lock:
            names = sorted(server.name for server in self._servers())
        if names:
            raise Problem(f"servers still exist: {', '.join(names)}", mend="destroy them first")

    def fault(self, verb: Verb, kind: Fault) -> None:
        """Spoil the next call of a verb that is not spoiled yet."""
        self._faults[verb].append(kind)

    def die(self, name: str, detail: str) -> None:
        """Let a server end by itself."""
        with self._lock:
            key = (self._project, name)
            self._cloud.servers[key] = replace(self._cloud.servers[key], phase="dead", detail=detail)

    def _attach(self, spec: ServerSpec) -> None:
        """Give a server its volumes. Raises `Problem` if another has one."""
        holders = self._holders() if spec.volumes else {}
        for name in spec.volumes:
            if holders.get(name, spec.name) != spec.name:
                raise Problem(f"{spec.name} cannot have the volume {name}: it is on {holders[name]}")
        self._make_volumes(spec.generation, [spec.slot])
        for name in spec.volumes:
            volume = self._cloud.volumes[self._project, name]
            self._cloud.volumes[self._project, name] = replace(volume, snapshot=None)

    def _make_volumes(self, generation: Generation, slots: Sequence[int]) -> None:
        for slot in slots:
            for spec in generation.config.volumes:
                name = volume_name(generation.group, slot, spec.name)
                made = Volume(name, generation.group, slot, self._clock(), spec.size)
                self._cloud.volumes.setdefault((self._project, name), made)

    def _holders(self) -> dict[str, str]:
        return {volume: server.name for server in self._servers() for volume in server.volumes}

    def log_in(self, name: str) -> None:
        """Let somebody run something on a server."""
        key = (self._project, name)
        with self._lock:
            before = self._cloud.found.get(key, Examination(name, self._clock()))
            self._cloud.found[key] = replace(before, logins=(*before.logins, Login(self._clock(), "login")))

    def alter(self, examination: Examination) -> None:
        """Let a server be found like this from now on."""
        with self._lock:
            self._cloud.found[self._project, examination.server] = examination

    def _servers(self) -> list[Server]:
        return [server for (project, _), server in self._cloud.servers.items() if project == self._project]

    @contextmanager
    def _spoiled(self, verb: Verb) -> Iterator[Fault | None]:
        """What is wrong with this call; its `Problem` is raised once the block has done its part."""
        waiting = self._faults[verb]
        fault = waiting.popleft() if waiting else None
        yield fault
        if fault is not None:
            raise Problem(f"{verb}: simulated fault ({fault})", mend="observe again")


def _born(spec: ServerSpec, now: datetime) -> Server:
    generation = spec.generation
    return Server(
        name=spec.name,
        group=spec.group,
        slot=spec.slot,
        incarnation=spec.incarnation,
        generation=generation.number,
        image=generation.image,
        config=generation.config.digest(),
        phase="creating",
        created_at=now,
        volumes=tuple(spec.volumes),
        endpoint=Endpoint(f"{spec.group}-{spec.slot}", {port: port for port in generation.config.ports}),
    )
