"""Servers in podman's own words, and back. Pure.

Labels are the source of truth: whatever bluestone must know of a server is written on its container.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Annotated

import msgspec
from msgspec.structs import replace

from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, Phase, Server, ServerSpec

PROJECT = "bluestone.project"
SERVER = "bluestone.server"
GROUP = "bluestone.group"
SLOT = "bluestone.slot"
INCARNATION = "bluestone.incarnation"
GENERATION = "bluestone.generation"
IMAGE = "bluestone.image"
CONFIG = "bluestone.config"
PORTS = "bluestone.ports"
ADDRESS = "bluestone.address"
EPOCH = "bluestone.epoch"
VOLUMES = "bluestone.volumes"
VOLUME = "bluestone.volume"
SIZE = "bluestone.size"

PHASES: dict[str, Phase] = {
    "created": "creating",
    "configured": "creating",
    "initialized": "creating",
    "running": "running",
    "paused": "running",
    "stopping": "stopping",
    "removing": "stopping",
    "stopped": "dead",
    "exited": "dead",
    "dead": "dead",
}
"""podman's states of a container (`ContainerStatus` in its libpod/define/containerstate.go)."""


KILLED = 128 + 9
"""Exit status of what SIGKILL ended."""


class Published(msgspec.Struct):
    """Ports of a container that stand on the loopback: `range` of them, from these two on."""

    container_port: int
    host_port: int
    range: int = 1


class Container(msgspec.Struct):
    """What `podman ps --format json` says of a container; `created` in seconds since 1970.

    `pid` is this machine's process id of its init, `mounts` where on it something was mounted when it was made.
    """

    names: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(name="Names")
    labels: dict[str, str] | None = msgspec.field(name="Labels")
    state: str = msgspec.field(name="State")
    exit_code: int = msgspec.field(name="ExitCode")
    created: int = msgspec.field(name="Created")
    ports: list[Published] | None = msgspec.field(name="Ports", default=None)
    identifier: str = msgspec.field(name="Id", default="")
    pid: int = msgspec.field(name="Pid", default=0)
    mounts: list[str] | None = msgspec.field(name="Mounts", default=None)
    command: list[str] | None = msgspec.field(name="Command", default=None)


class State(msgspec.Struct):
    """What `podman container inspect` says of how a container ended."""

    exit_code: int = msgspec.field(name="ExitCode", default=0)
    out_of_memory: bool = msgspec.field(name="OOMKilled", default=False)
    error: str = msgspec.field(name="Error", default="")


def labels(spec: ServerSpec, address: IPv4Address) -> dict[str, str]:
    """What is written on a server's container."""
    generation = spec.generation
    return {
        PROJECT: spec.project,
        SERVER: spec.name,
        GROUP: spec.group,
        SLOT: str(spec.slot),
        INCARNATION: str(spec.incarnation),
        GENERATION: str(generation.number),
        IMAGE: generation.image,
        CONFIG: generation.config.digest(),
        PORTS: ",".join(map(str, generation.config.ports)),
        ADDRESS: str(address),
        EPOCH: str(spec.epoch),
        VOLUMES: ",".join(spec.volumes),
    }


def server_of(spec: ServerSpec, endpoint: Endpoint, created_at: datetime) -> Server:
    """A server that was just created and started, as a list would show it; podman counts in whole seconds."""
    return Server(
        name=spec.name,
        group=spec.group,
        slot=spec.slot,
        incarnation=spec.incarnation,
        generation=spec.generation.number,
        image=spec.generation.image,
        config=spec.generation.config.digest(),
        phase="running",
        created_at=created_at.replace(microsecond=0),
        endpoint=endpoint,
        volumes=tuple(spec.volumes),
    )


def read_containers(containers: Iterable[Container]) -> dict[str, Server]:
    """The servers that containers are, by container name. Raises `Problem` if any cannot be understood."""
    return {container.names[0]: _read_container(container) for container in containers}


def server_name(container: Container) -> str:
    """The name of the server that a container is; empty if it is none."""
    return (container.labels or {}).get(SERVER, "")


def decode(text: str) -> list[Container]:
    """The output of `podman ps`. Raises `Problem`."""
    try:
        return msgspec.json.decode(text, type=list[Container])
    except msgspec.DecodeError as error:
        raise Problem(
            f"podman's list of containers cannot be understood: {error}",
            mend="look at `podman ps --all --format json`; podman 4.3 to 5 are known to work",
        ) from error


def read_ends(text: str) -> dict[str, str]:
    """The output of `podman container inspect`: by container name, how each ended."""
    try:
        pairs = [msgspec.json.decode(line, type=tuple[str, State]) for line in text.splitlines() if line]
    except msgspec.DecodeError as error:
        raise Problem(
            f"podman's account of a container cannot be understood: {error}",
            mend="look at `podman container inspect`; podman 4.3 to 5 are known to work",
        ) from error
    return {name: how_it_ended(state) for name, state in pairs}


def how_it_ended(state: State) -> str:
    """A sentence for a person.

    With control groups of version 1, podman does not notice when the kernel takes the init itself for want of
    memory.
    """
    if state.error:
        return state.error
    if state.out_of_memory:
        return f"it ran out of memory (status {state.exit_code})"
    if state.exit_code == KILLED:
        return f"its init was killed (status {KILLED}), by somebody or by the kernel for want of memory"
    return f"its init ended with status {state.exit_code}"


def _read_container(container: Container) -> Server:
    labels = container.labels or {}
    try:
        phase = PHASES[container.state]
        server = Server(
            name=labels[SERVER],
            group=labels[GROUP],
            slot=int(labels[SLOT]),
            incarnation=int(labels[INCARNATION]),
            generation=int(labels[GENERATION]),
            image=Digest(labels[IMAGE]),
            config=Digest(labels[CONFIG]),
            phase=phase,
            created_at=datetime.fromtimestamp(container.created, UTC),
            endpoint=_endpoint(container),
            # Servers of before there were volumes lack the label.
            volumes=tuple(name for name in labels.get(VOLUMES, "").split(",") if name),
        )
    except (KeyError, ValueError) as error:
        raise Problem(
            f"the container {container.names[0]} bears this project's label, but is in no state or form that "
            f"bluestone knows ({container.state}; {error})",
            mend=f"look at it, and if nobody needs it: podman rm --force {container.names[0]}",
        ) from error
    if phase == "dead":
        return replace(server, detail=how_it_ended(State(exit_code=container.exit_code)))
    return server


def _endpoint(container: Container) -> Endpoint:
    """A server has its ports at its address, but for those that are published elsewhere."""
    labels = container.labels or {}
    ports = {int(port): int(port) for port in labels[PORTS].split(",") if port}
    for entry in container.ports or []:
        ports |= {entry.container_port + step: entry.host_port + step for step in range(entry.range)}
    return Endpoint(str(IPv4Address(labels[ADDRESS])), ports)


def address_of(server: Server) -> IPv4Address | None:
    """The address that a server has."""
    return None if server.endpoint is None else IPv4Address(server.endpoint.host)
