"""The keys of `[logs]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from bluestone.declaration import quantities
from bluestone.declaration.forms import Written
from bluestone.declaration.keys.table import Name, Table, key, lasting
from bluestone.declaration.texts import addresses, paths

Age = Annotated[timedelta, lasting("1h", "36500d")]


class ListenTable(Table):
    """Where lines of devices and programs that are no servers of bluestone's are taken in, by TLS alone."""

    http: Annotated[str, Written(addresses.listen, "ADDRESS:PORT")] | None = key(
        "OpenTelemetry's logs (OTLP by HTTP) and bulk requests of Elasticsearch's clients.",
        example="192.0.2.10:9200",
        default=None,
    )
    syslog: Annotated[str, Written(addresses.listen, "ADDRESS:PORT")] | None = key(
        "Syslog by TLS (RFC 5425).", example="192.0.2.10:6514", default=None
    )
    names: list[Annotated[str, Written(addresses.host_name, "host name or IP address")]] = key(
        "Host names by which senders reach these addresses, for the receiver's certificate.",
        example=["logs.example.org"],
        default=[],
    )


class SinkTable(Table):
    """Where acknowledged lines go besides the store: all that is kept, then each as it comes."""

    kind: Name = key(
        "`elasticsearch`: whatever takes its bulk requests, another bluestone's receiver included.",
        example="elasticsearch",
        default="elasticsearch",
    )
    address: Annotated[str, Written(addresses.sink, "http(s)://HOST:PORT")] = key(
        "Where it is. Plain http is taken for this machine only.", example="https://search.example.org:9200"
    )
    index: Annotated[str, Written(addresses.index, "name of an index", addresses.INDEX)] = key(
        "The index or data stream.", example="logs-shop-default", default="bluestone"
    )
    key_file: Annotated[str, Written(paths.source, "path")] | None = key(
        "A file with the API key; it is read at each request.", example="/etc/bluestone/search.key", default=None
    )
    authority: Annotated[str, Written(paths.source, "path")] | None = key(
        "A PEM file with the authority of its certificate, where that is none of this machine's.",
        example="/etc/bluestone/search-ca.pem",
        default=None,
    )


class LogsTable(Table):
    """How log lines are taken in and kept."""

    keep: Age | None = key(
        "How long lines are kept; `bluestone logs hold` keeps some for longer. Left out: for ever.",
        example="90d",
        default=None,
    )
    size: (
        Annotated[int, Written(quantities.size_between("16MiB", "1024TiB"), "size, 16MiB to 1024TiB", quantities.SIZE)]
        | None
    ) = key(
        "How much disk they may take; beyond, the oldest go. Left out: as much as there is.",
        example="50GB",
        default=None,
    )
    groups: dict[Name, Age] = key(
        "How long the lines of a group are kept, where that differs.", example={"web": "30d"}, default={}
    )
    listen: ListenTable = key(
        "Where lines of others than servers are taken in. Who may send them: see `bluestone logs allow`.",
        example={"syslog": "192.0.2.10:6514"},
        default={},
    )
    also: list[Annotated[str, Written(paths.source, "path")]] = key(
        "Other log stores that are searched together with the project's own: of machines and projects that went before."
        " Nothing is written to them.",
        example=["/srv/old-shop/logs"],
        default=[],
    )
    sinks: dict[Name, SinkTable] = key(
        "Where lines go besides the store.",
        example={"search": {"address": "https://search.example.org:9200"}},
        default={},
    )
