"""The keys of `bluestone.toml`: what there is, what it means, how it is written.

These tables are the file's shape and no more. What follows from several keys together is in `checks`; the
values that the rest of bluestone works with are made in `convert`.
"""

from __future__ import annotations

from bluestone.declaration.keys.cost import CostTable
from bluestone.declaration.keys.hours import HoursTable
from bluestone.declaration.keys.image import (
    AnsibleTable,
    ArchiveTable,
    BaseTable,
    FileTable,
    ImageTable,
    PuppetTable,
    WaiverTable,
)
from bluestone.declaration.keys.logs import LogsTable, SinkTable
from bluestone.declaration.keys.operation import NotifyTable, ServeTable, WebHookTable
from bluestone.declaration.keys.patch import FeedsTable, FixWaiverTable, FreezeTable, PatchTable, RuleTable
from bluestone.declaration.keys.servers import GroupTable, HealthTable, RolloutTable, VolumeTable
from bluestone.declaration.keys.state import StateTable
from bluestone.declaration.keys.table import Name, Table, key
from bluestone.declaration.keys.web import WebTable

__all__ = [
    "AnsibleTable",
    "ArchiveTable",
    "BaseTable",
    "CostTable",
    "DeclarationTable",
    "FeedsTable",
    "FileTable",
    "FixWaiverTable",
    "FreezeTable",
    "GroupTable",
    "HealthTable",
    "HoursTable",
    "ImageTable",
    "LogsTable",
    "NotifyTable",
    "PatchTable",
    "PuppetTable",
    "RolloutTable",
    "RuleTable",
    "ServeTable",
    "SinkTable",
    "StateTable",
    "VolumeTable",
    "WaiverTable",
    "WebHookTable",
    "WebTable",
]


class DeclarationTable(Table):
    """Immutable servers, end to end, from one file."""

    project: Name = key("The project's name, unique on this machine.", example="web")
    image: ImageTable = key("What goes into the image.", example={"base": "debian:trixie"})
    servers: dict[Name, GroupTable] = key(
        "Groups of servers, each under its name.", example={"web": {"count": 3}}, default={}
    )
    patch: PatchTable = key(
        "By when fixes must be on the servers, and when they may be rolled out.",
        example={"automatic": True, "windows": ["Mo-Fr 08:00-16:00"]},
        default={},
    )
    cost: CostTable | None = key(
        "What servers cost. Left out: nobody counts.", example={"prices": "prices.toml"}, default=None
    )
    state: StateTable = key(
        "Where bluestone keeps its journal.",
        example={"store": "postgresql://bluestone@db.example.org/fleet"},
        default={},
    )
    logs: LogsTable = key("How long log lines are kept.", example={"keep": "90d"}, default={})
    web: WebTable = key("Where the web page and its API are served.", example={"listen": "192.0.2.10:8443"}, default={})
    serve: ServeTable = key("How the daemon, `bluestone serve`, goes about it.", example={"every": "30s"}, default={})
    notify: NotifyTable = key(
        "Whom the daemon tells of what a person must see.", example={"exec": ["/usr/local/bin/page"]}, default={}
    )
