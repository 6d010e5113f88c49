"""The keys of `[servers.NAME]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from bluestone.declaration import quantities, shorthand
from bluestone.declaration.forms import OrShort, Written, WrittenAs
from bluestone.declaration.keys.hours import HoursTable
from bluestone.declaration.keys.table import Name, Table, key, lasting
from bluestone.declaration.texts import addresses, naming, paths, shipping
from bluestone.model.group import Amount, StrategyName

Variable = Annotated[str, Written(naming.variable, "variable's name", naming.VARIABLE)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Servers = Annotated[
    Amount,
    WrittenAs(
        quantities.amount,
        {
            "title": "number of servers or percentage",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": quantities.MAX_AMOUNT},
                {"type": "string", "pattern": quantities.PERCENTAGE},
            ],
        },
    ),
]

SecretPlace = Annotated[str, Written(addresses.secret, "env:VARIABLE or file:PATH", addresses.SECRET)]


class PortTable(Table):
    """A port that the balancer listens on, and the servers' port behind it."""

    listen: PortNumber = key("The port that clients connect to.", example=8080)
    server: PortNumber = key("The port that the server's program listens on.", example=80)
    mode: Literal["http", "tcp"] = key("`http` shares requests out, `tcp` connections.", example="tcp", default="http")
    bind: Annotated[str, Written(addresses.bind, "IP address")] = key(
        "The address of this machine to listen on; 0.0.0.0 is all of them.",
        example="0.0.0.0",  # noqa: S104 - an example
        default="127.0.0.1",
    )


class HealthTable(Table):
    """How the balancer finds out whether a server works."""

    path: Annotated[str, Written(addresses.health_path, "path", addresses.HEALTH_PATH)] | None = key(
        "Asked for by HTTP GET; 200 to 399 is healthy. Left out: a connection suffices.",
        example="/health",
        default=None,
    )
    port: PortNumber | None = key(
        "The server's port to ask. Left out: the one that requests go to.", example=8081, default=None
    )
    interval: Annotated[timedelta, lasting("50ms", "1h")] = key(
        "Time between two checks.", example="1s", default="200ms"
    )
    timeout: Annotated[timedelta, lasting("50ms", "5m")] = key(
        "How long an answer may take.", example="5s", default="2s"
    )
    rise: Annotated[int, Field(ge=1, le=100)] = key(
        "Passed checks in a row that make a server healthy.", example=3, default=2
    )
    fall: Annotated[int, Field(ge=1, le=100)] = key(
        "Failed checks in a row that make it unhealthy.", example=5, default=3
    )


class ResourcesTable(Table):
    """Limits of one server. What is left out is not limited."""

    memory: (
        Annotated[int, Written(quantities.size_between("16MiB", "64TiB"), "size, 16MiB to 64TiB", quantities.SIZE)]
        | None
    ) = key("Most memory. `MB` is a million bytes, `MiB` (or `m`) 1024 x 1024.", example="256MiB", default=None)
    cpus: (
        Annotated[
            float,
            WrittenAs(
                quantities.cpus,
                {"type": "number", "minimum": quantities.MIN_CPUS, "maximum": quantities.MAX_CPUS},
            ),
        ]
        | None
    ) = key("Most processor time, in cores.", example=0.5, default=None)


class VolumeTable(Table):
    """Data of a server that outlives it: its successor in the same slot gets it."""

    path: Annotated[str, Written(paths.volume_path, "absolute path", paths.VOLUME_PATH)] = key(
        "Where the server sees it. At first it holds what the image has there.", example="/var/lib/postgresql"
    )
    size: (
        Annotated[int, Written(quantities.size_between("1MiB", "1024TiB"), "size, 1MiB to 1024TiB", quantities.SIZE)]
        | None
    ) = key(
        "The most that it may hold; it stays as it was made. Left out: what the disk has room for.",
        example="10GB",
        default=None,
    )
    owner: Annotated[str, Written(paths.owner, "user or user:group", paths.OWNER)] | None = key(
        "Owner of its top directory on the server, `user` or `user:group`. Left out: as the image has the directory.",
        example="postgres:postgres",
        default=None,
    )
    asleep: Literal["keep", "snapshot"] = key(
        "What becomes of it while its group's hours have no server for it: it stays, or a verified, compressed "
        "snapshot in bluestone's own store takes its place until a server is started with it again.",
        example="snapshot",
        default="keep",
    )


class RolloutTable(Table):
    """How servers are replaced when their image or configuration changes."""

    strategy: StrategyName = key(
        "`blue-green`: all new servers are started beside the old, then requests switch. "
        "`rolling`: a few at a time. `destroy-first`: the old goes before the new comes.",
        example="rolling",
        default="blue-green",
    )
    max_surge: Servers | None = key(
        "rolling: how many servers more than `count` there may be meanwhile, and beside them as many that are "
        "drained or being stopped. Left out: 1, and 0 with volumes.",
        example=1,
        default=None,
    )
    max_unavailable: Servers | None = key(
        "rolling, destroy-first: how many of `count` may be away meanwhile. "
        "Left out: 0 for rolling without volumes, else 1.",
        example="25%",
        default=None,
    )
    drain: Annotated[timedelta, lasting("1ms", "24h")] = key(
        "How long an old server may still finish the requests it has.", example="10s", default="30s"
    )
    progress: Annotated[timedelta, lasting("1s", "24h")] = key(
        "How long a new server may take until it is healthy; after that the rollout stops.",
        example="60s",
        default="2m",
    )
    long_sessions: Literal["cut", "wait"] = key(
        "What becomes of requests and connections that an old server still holds after `drain`: they are cut, or "
        "waited for as long as they last.",
        example="wait",
        default="cut",
    )
    min_ready: Annotated[timedelta, lasting("0s", "24h")] = key(
        "How long a new server must get requests and be healthy until it counts, and an old one may go for it.",
        example="10s",
        default="0s",
    )
    canary: Servers | None = key(
        "How many new servers come first, get requests beside the old ones and are compared with them, before the rest "
        "follows. Left out: none.",
        example=1,
        default=None,
    )
    bake: Annotated[timedelta, lasting("1s", "30d")] = key(
        "How long the canaries are compared with the old servers. If they plainly fail more, it ends at once.",
        example="10m",
        default="5m",
    )
    inconclusive: Literal["pause", "go-on"] = key(
        "What follows when the canaries had too few requests to be judged by: wait for `bluestone resume`, or go on.",
        example="go-on",
        default="pause",
    )
    on_failure: Literal["rollback", "halt"] = key(
        "What follows when the new servers fail: the group goes back by itself to what served before, or is left as "
        "it is, without those that never served.",
        example="halt",
        default="rollback",
    )
    keep: Annotated[timedelta, lasting("0s", "30d")] | None = key(
        "blue-green: how long the old servers stay for a quick rollback. Left out: not at all.",
        example="10m",
        default=None,
    )
    hold: Annotated[timedelta, lasting("0s", "10m")] | None = key(
        "destroy-first: how long requests wait at the balancer while no server can take them, before they fail. "
        "They are sent to nobody meanwhile, so none is made twice. Left out: 30s.",
        example="2m",
        default=None,
    )


class DriftTable(Table):
    """What follows when a server is found to differ from its image, or somebody was on it."""

    then: Literal["replace", "report"] = key(
        "`replace`: the server is replaced, within the limits of `rollout`. `report`: it is only told.",
        example="report",
        default="replace",
    )
    ignore: list[Annotated[str, Written(paths.may_differ, "path or unit")]] = key(
        "What may differ: paths of files and programs (`*` and `?` within a directory, `**` at any depth), and units "
        "that may fail.",
        example=["/tmp/jna-*", "flaky.service"],  # noqa: S108 - a path on the server
        default=[],
    )


class ShippingTable(Table):
    """What the servers ship besides their journal, and what of all that never leaves them."""

    files: Annotated[
        list[Annotated[str, Written(shipping.log_file, "absolute path", paths.ABSOLUTE)]], Field(max_length=32)
    ] = key(
        "Files that programs write lines to; `*` and `?` may stand in the last part of a path. They may be rotated and "
        "truncated. The group `adm` must be able to read them.",
        example=["/var/log/nginx/access.log", "/var/log/app/*.log"],
        default=[],
    )
    mask: Annotated[list[Annotated[str, Written(shipping.mask, "regular expression")]], Field(max_length=32)] = key(
        "Regular expressions (Python's): what they match is replaced by `[masked]` before a line leaves the server; "
        "where one has groups, what these match.",
        example=["(?i)password=(\\S+)"],
        default=[],
    )


class GroupTable(Table):
    """Servers of one kind."""

    provider: Annotated[str, Written(naming.provider, "provider", naming.NAME)] = key(
        "Where the servers run: `podman`, as containers; `qemu`, as virtual machines.",
        example="podman",
        default="podman",
    )
    count: Annotated[int, Field(ge=0, le=quantities.MAX_AMOUNT)] = key("How many servers.", example=3, default=1)
    ports: list[Annotated[PortTable, OrShort(shorthand.port, "[BIND:]LISTEN:SERVER[/MODE]", shorthand.PORT)]] = key(
        "Ports that the balancer listens on, and the servers' ports behind them.",
        example=["8080:80"],
        default=[],
    )
    health: Annotated[HealthTable, OrShort(shorthand.health, "path or tcp", shorthand.HEALTH)] | None = key(
        "How the balancer finds out whether a server works. Left out: by a connection.",
        example="/health",
        default=None,
    )
    resources: ResourcesTable = key("Limits of one server.", example={"memory": "256MiB"}, default={})
    fallback: Annotated[list[ResourcesTable], Field(max_length=8)] = key(
        "Other sizes, the best first, in which a server is had while there is no room for one of `resources`. "
        "Its successor is of `resources` again, if there is room then.",
        example=[{"memory": "128MiB"}],
        default=[],
    )
    zones: Annotated[list[Annotated[str, Written(naming.zone, "zone", naming.ZONE)]], Field(max_length=16)] = key(
        "Zones of the provider, for providers that have some. Slots take turns; a zone without room is passed over.",
        example=["eu-1a", "eu-1b"],
        default=[],
    )
    environment: dict[Variable, Annotated[str, Written(naming.environment_value, "line of text")]] = key(
        "Variables for the programs on the server. Nothing secret: it shows.",
        example={"STAGE": "test"},
        default={},
    )
    secrets: dict[
        Variable, Annotated[str, Written(addresses.secret, "env:VARIABLE or file:PATH", addresses.SECRET)]
    ] = key(
        "Where secrets come from when a server starts: `env:VARIABLE` or `file:PATH`. "
        "Their values never stand in this file.",
        example={"TOKEN": "env:TOKEN"},
        default={},
    )
    volumes: dict[Name, Annotated[VolumeTable, OrShort(shorthand.volume, "path", paths.VOLUME_PATH)]] = key(
        "Volumes, one of each for every server: its slot keeps them when it is replaced. "
        "Only `bluestone volumes rm` destroys one.",
        example={"data": "/var/lib/postgresql"},
        default={},
    )
    hours: Annotated[HoursTable, OrShort(shorthand.hours, "opening hours")] | None = key(
        "When the servers are up. Left out: always.", example="Mo-Fr 08:00-18:00", default=None
    )
    rollout: Annotated[RolloutTable, OrShort(shorthand.rollout, "strategy", shorthand.ROLLOUT)] = key(
        "How the servers are replaced.", example="rolling", default={}
    )
    on_drift: Annotated[DriftTable, OrShort(shorthand.on_drift, "replace or report", shorthand.ON_DRIFT)] = key(
        "What follows when a server differs from its image, or somebody was on it. See `bluestone drift`.",
        example="report",
        default={},
    )
    logs: ShippingTable = key(
        "What the servers ship besides their journal, and what is hidden of it.",
        example={"files": ["/var/log/nginx/access.log"]},
        default={},
    )
