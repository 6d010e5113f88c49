"""The keys of `bluestone.toml`: what there is, what it means, how it is written.

These tables are the file's shape and no more. What follows from several keys together is in `checks`; the
values that the rest of bluestone works with are made in `convert`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bluestone.declaration import quantities, shorthand, texts
from bluestone.declaration.forms import OrShort, Written, WrittenAs
from bluestone.model.group import Amount, StrategyName


def key(meaning: str, *, example: Any, default: Any = ...) -> Any:
    """A key with its meaning and an example; one without a default must be written."""
    return Field(default, description=meaning, examples=[example], validate_default=True)


class Table(BaseModel):
    """A table that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _interval(low: str, high: str) -> Written:
    return Written(quantities.duration_between(low, high), f"duration, {low} to {high}", quantities.DURATION)


Name = Annotated[str, Written(texts.name, "name", texts.NAME)]
Variable = Annotated[str, Written(texts.variable, "variable's name", texts.VARIABLE)]
Target = Annotated[str, Written(texts.target, "absolute path", texts.ABSOLUTE)]
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


class BaseTable(Table):
    """What an image starts from."""

    distribution: Literal["debian", "ubuntu"] = key("The distribution.", example="debian")
    suite: Annotated[str, Written(texts.suite, "suite", texts.SUITE)] = key(
        "The release of it, by its code name.", example="trixie"
    )
    archive: Annotated[str, Written(texts.archive, "URI", "^(https?|file)://")] | None = key(
        "Where its packages come from. Left out: the archive that this machine's own apt uses.",
        example="https://mirror.example.org/debian",
        default=None,
    )


class FileTable(Table):
    """A file or directory laid over the packages: exactly one of `source` and `content`."""

    source: Annotated[str, Written(texts.source, "path")] | None = key(
        "A file or directory on this machine; a relative path begins where bluestone.toml is.",
        example="site",
        default=None,
    )
    content: str | None = key("The file's text itself.", example="PORT=80\n", default=None)
    mode: Annotated[int, Written(texts.mode, "octal mode", texts.MODE)] | None = key(
        "Permissions in octal. Left out: 0644, and 0755 for what is executable.", example="0644", default=None
    )
    owner: Annotated[str, Written(texts.owner, "user or user:group", texts.OWNER)] = key(
        "Owner on the server, `user` or `user:group`.", example="www-data:www-data", default="root:root"
    )


class ImageTable(Table):
    """What goes into the image that all servers are started from."""

    base: Annotated[BaseTable, OrShort(shorthand.base, "distribution:suite", shorthand.BASE)] = key(
        "What the image starts from.", example="debian:trixie"
    )
    packages: list[Annotated[str, Written(texts.package, "package", texts.PACKAGE)]] = key(
        "Packages to install, with what they depend on.", example=["nginx-light"], default=[]
    )
    files: dict[Target, Annotated[FileTable, OrShort(shorthand.file, "source's path")]] = key(
        "Files laid over the packages: path on the server = path on this machine.",
        example={"/var/www/site": "site"},
        default={},
    )
    units: list[Annotated[str, Written(texts.unit, "unit", texts.UNIT)]] = key(
        "systemd units that are started on every server.", example=["nginx.service"], default=[]
    )
    run: list[Annotated[str, Written(texts.command, "shell command")]] = key(
        "Shell commands run inside the image at the end of its build, without a network.",
        example=["nginx -t"],
        default=[],
    )
    writable: list[Annotated[str, Written(texts.writable, "absolute path", texts.ABSOLUTE)]] = key(
        "Directories that a program writes to: each is in memory, at first with what the image has there. "
        "All else on a server is read-only.",
        example=["/var/lib/nginx", "/var/log/nginx"],
        default=[],
    )
    login: Annotated[Literal["none"], Written(texts.login, "none", "^none$")] = key(
        "Who may log in: nobody, the only choice.", example="none", default="none"
    )


class PortTable(Table):
    """A port that the balancer listens on, and the servers' port behind it."""

    listen: PortNumber = key("The port that clients connect to.", example=8080)
    server: PortNumber = key("The port that the server's program listens on.", example=80)
    mode: Literal["http", "tcp"] = key("`http` shares requests out, `tcp` connections.", example="tcp", default="http")
    bind: Annotated[str, Written(texts.bind, "IP address")] = key(
        "The address of this machine to listen on; 0.0.0.0 is all of them.",
        example="0.0.0.0",  # noqa: S104 - an example
        default="127.0.0.1",
    )


class HealthTable(Table):
    """How the balancer finds out whether a server works."""

    path: Annotated[str, Written(texts.health_path, "path", texts.HEALTH_PATH)] | None = key(
        "Asked for by HTTP GET; 200 to 399 is healthy. Left out: a connection suffices.",
        example="/health",
        default=None,
    )
    port: PortNumber | None = key(
        "The server's port to ask. Left out: the one that requests go to.", example=8081, default=None
    )
    interval: Annotated[timedelta, _interval("50ms", "1h")] = key(
        "Time between two checks.", example="1s", default="200ms"
    )
    timeout: Annotated[timedelta, _interval("50ms", "5m")] = key(
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


class RolloutTable(Table):
    """How servers are replaced when their image or configuration changes."""

    strategy: StrategyName = key(
        "`blue-green`: all new servers are started beside the old, then requests switch. "
        "`rolling`: a few at a time. `destroy-first`: the old goes before the new comes.",
        example="rolling",
        default="blue-green",
    )
    max_surge: Servers | None = key(
        "rolling: how many servers more than `count` there may be meanwhile. Left out: 1.",
        example=1,
        default=None,
    )
    max_unavailable: Servers | None = key(
        "rolling, destroy-first: how many of `count` may be away meanwhile. "
        "Left out: 0 for rolling, 1 for destroy-first.",
        example="25%",
        default=None,
    )
    drain: Annotated[timedelta, _interval("1ms", "24h")] = key(
        "How long an old server may still finish the requests it has.", example="10s", default="30s"
    )
    progress: Annotated[timedelta, _interval("1s", "24h")] = key(
        "How long a new server may take until it is healthy; after that the rollout stops.",
        example="60s",
        default="2m",
    )
    keep: Annotated[timedelta, _interval("0s", "30d")] | None = key(
        "blue-green: how long the old servers stay for a quick rollback. Left out: not at all.",
        example="10m",
        default=None,
    )


class GroupTable(Table):
    """Servers of one kind."""

    provider: Annotated[str, Written(texts.provider, "provider", texts.NAME)] = key(
        "Where the servers run.", example="podman", default="podman"
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
    environment: dict[Variable, Annotated[str, Written(texts.environment_value, "line of text")]] = key(
        "Variables for the programs on the server. Nothing secret: it shows.",
        example={"STAGE": "test"},
        default={},
    )
    secrets: dict[Variable, Annotated[str, Written(texts.secret, "env:VARIABLE or file:PATH", texts.SECRET)]] = key(
        "Where secrets come from when a server starts: `env:VARIABLE` or `file:PATH`. "
        "Their values never stand in this file.",
        example={"TOKEN": "env:TOKEN"},
        default={},
    )
    rollout: Annotated[RolloutTable, OrShort(shorthand.rollout, "strategy", shorthand.ROLLOUT)] = key(
        "How the servers are replaced.", example="rolling", default={}
    )


class DeclarationTable(Table):
    """Immutable servers, end to end, from one file."""

    project: Name = key("The project's name, unique on this machine.", example="web")
    image: ImageTable = key("What goes into the image.", example={"base": "debian:trixie"})
    servers: dict[Name, GroupTable] = key(
        "Groups of servers, each under its name.", example={"web": {"count": 3}}, default={}
    )
