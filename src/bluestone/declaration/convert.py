"""Turns checked tables into the model."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import get_args

from bluestone.declaration import moments
from bluestone.declaration.keys import (
    AnsibleTable,
    ArchiveTable,
    CostTable,
    DeclarationTable,
    FeedsTable,
    FileTable,
    GroupTable,
    HealthTable,
    HoursTable,
    ImageTable,
    LogsTable,
    NotifyTable,
    PatchTable,
    PuppetTable,
    RolloutTable,
    SinkTable,
    StateTable,
    VolumeTable,
    WebHookTable,
    WebTable,
)
from bluestone.declaration.texts import paths
from bluestone.model.cost import CostPolicy
from bluestone.model.declaration import Declaration, Store
from bluestone.model.feed import FeedPolicy, FeedSource, Kind
from bluestone.model.group import (
    Amount,
    DriftPolicy,
    Group,
    Health,
    LogPolicy,
    Port,
    Resources,
    RolloutPolicy,
    SecretRef,
)
from bluestone.model.hours import Hours, Period
from bluestone.model.logs import LogKeeping, LogListening, LogSink
from bluestone.model.notify import NotifyPolicy, ServePolicy, WebHook
from bluestone.model.patching import FixWaiver, Freeze, PatchPolicy, Rule
from bluestone.model.recipe import Ansible, Archive, Base, LocalPackage, OverlayFile, Puppet, Recipe, Waiver
from bluestone.model.volume import VolumeSpec
from bluestone.model.web import WebPolicy

SURGE = {"blue-green": Amount(100, percent=True), "rolling": Amount(1), "destroy-first": Amount(0)}
AGES = {"daily": timedelta(days=1), "weekly": timedelta(days=7), "monthly": timedelta(days=30)}
UNAVAILABLE = {"blue-green": Amount(0), "rolling": Amount(0), "destroy-first": Amount(1)}
HOLD = {"blue-green": timedelta(0), "rolling": timedelta(0), "destroy-first": timedelta(seconds=30)}
"""What a strategy does where the file does not say; with volumes, which no two servers can have, none surges."""


def declaration(table: DeclarationTable, directory: Path) -> Declaration:
    """The declaration as a value. Relative paths begin in `directory`, the absolute one of the file."""
    return Declaration(
        project=table.project,
        recipe=_recipe(table.image, directory),
        groups=tuple(_group(name, group, directory) for name, group in table.servers.items()),
        store=_store(table.state, directory),
        logs=_logs(table.logs, directory),
        cost=_cost(table.cost, directory) if table.cost else None,
        max_age=_max_age(table.patch),
        listen=LogListening(table.logs.listen.http, table.logs.listen.syslog, tuple(table.logs.listen.names)),
        web=_web(table.web, directory),
        sinks=tuple(_sink(name, sink, directory) for name, sink in table.logs.sinks.items()),
        serve=ServePolicy(**dict(table.serve)),
        notify=_notify(table.notify, directory),
        patch=_patch(table.patch, directory),
    )


def place_of(path: str, directory: Path) -> Path:
    """The absolute path that a path in the file means."""
    return Path(directory.absolute(), path)


def _recipe(table: ImageTable, directory: Path) -> Recipe:
    return Recipe(
        base=Base(**dict(table.base)),
        packages=tuple(table.packages),
        archives=tuple(_archive(name, archive, directory) for name, archive in table.archives.items()),
        debs=tuple(LocalPackage(path, place_of(path, directory)) for path in table.debs),
        files=tuple(_file(target, file, directory) for target, file in table.files.items()),
        units=tuple(table.units),
        puppet=_puppet(table.puppet, directory) if table.puppet else None,
        ansible=_ansible(table.ansible, directory) if table.ansible else None,
        run=tuple(table.run),
        writable=tuple(table.writable),
        waivers=tuple(Waiver(**dict(waiver)) for waiver in table.waivers),
        login=table.login,
    )


def _archive(name: str, table: ArchiveTable, directory: Path) -> Archive:
    components = table.components
    if components is None:
        components = [] if table.suite.endswith("/") else ["main"]
    return Archive(name, table.uri.rstrip("/"), table.suite, tuple(components), place_of(table.key, directory))


def _puppet(table: PuppetTable, directory: Path) -> Puppet:
    return Puppet(place_of(table.directory, directory), table.manifest, dict(table.facts))


def _ansible(table: AnsibleTable, directory: Path) -> Ansible:
    return Ansible(place_of(table.directory, directory), table.playbook, dict(table.variables))


def _file(target: str, table: FileTable, directory: Path) -> OverlayFile:
    source = None if table.source is None else place_of(table.source, directory)
    return OverlayFile(paths.normal(target), source, table.content, table.mode, table.owner)


def _store(table: StateTable, directory: Path) -> Store | None:
    if table.store is None:
        return None
    return Store(table.store, _secret("password", table.password, directory) if table.password else None)


def _logs(table: LogsTable, directory: Path) -> LogKeeping:
    also = tuple(str(place_of(path, directory)) for path in table.also)
    return LogKeeping(table.keep, table.size, dict(table.groups), also)


def _web(table: WebTable, directory: Path) -> WebPolicy:
    certificate = place_of(table.certificate, directory) if table.certificate else None
    return WebPolicy(table.listen, tuple(table.names), certificate)


def _sink(name: str, table: SinkTable, directory: Path) -> LogSink:
    files = {"key_file": table.key_file, "authority": table.authority}
    found = {option: str(place_of(path, directory)) for option, path in files.items() if path}
    return LogSink(name, table.kind, {"address": table.address, "index": table.index, **found})


def _cost(table: CostTable, directory: Path) -> CostPolicy:
    return CostPolicy(str(place_of(table.prices, directory)), table.budget, table.warn_at, tuple(table.optional))


def _max_age(table: PatchTable) -> timedelta | None:
    """The stricter of the two."""
    found = [age for age in (table.max_age, AGES[table.rebuild] if table.rebuild else None) if age]
    return min(found, default=None)


def _group(name: str, table: GroupTable, directory: Path) -> Group:
    return Group(
        name=name,
        provider=table.provider,
        count=table.count,
        ports=tuple(Port(**dict(port)) for port in table.ports),
        health=Health(**dict(table.health or HealthTable())),
        resources=Resources(**dict(table.resources)),
        fallback=tuple(Resources(**dict(each)) for each in table.fallback),
        zones=tuple(table.zones),
        snapshots=tuple(name for name, volume in table.volumes.items() if volume.asleep == "snapshot"),
        environment=dict(table.environment),
        secrets=tuple(_secret(name, where, directory) for name, where in table.secrets.items()),
        volumes=tuple(_volume(name, volume) for name, volume in table.volumes.items()),
        rollout=_policy(table.rollout, pinned=bool(table.volumes)),
        hours=_hours(table.hours, table.count, directory) if table.hours else None,
        on_drift=DriftPolicy(table.on_drift.then, tuple(table.on_drift.ignore)),
        logs=LogPolicy(tuple(table.logs.files), tuple(table.logs.mask)),
    )


def _hours(table: HoursTable, count: int, directory: Path) -> Hours:
    periods = [Period(table.open, count), *(Period(when, number) for when, number in table.periods.items())]
    return Hours(
        periods=tuple(periods),
        zone=table.zone,
        country=table.country or "",
        region=table.region or "",
        calendars=tuple(str(place_of(path, directory)) for path in table.calendars),
        ready_by=table.ready_by,
        lead=table.lead,
        after=tuple(table.after),
        minimum=table.minimum,
        never_start_alone=table.never_start_alone,
        on_request=table.on_request,
        idle=table.idle,
    )


def _secret(name: str, written: str, directory: Path) -> SecretRef:
    kind, _, where = written.partition(":")
    if kind == "env":
        return SecretRef(name, "env", where)
    return SecretRef(name, "file", str(place_of(where, directory)))


def _notify(table: NotifyTable, directory: Path) -> NotifyPolicy:
    hook = _webhook(table.webhook, directory) if table.webhook else None
    return NotifyPolicy(hook, tuple(table.exec), tuple(table.events))


def _webhook(table: WebHookTable, directory: Path) -> WebHook:
    open_ = table.address.startswith(("http:", "https:"))
    address = table.address if open_ else _secret("webhook", table.address, directory)
    return WebHook(address, _secret("token", table.token, directory) if table.token else None)


def _patch(table: PatchTable, directory: Path) -> PatchPolicy:
    zone = moments.zone(table.time_zone)
    freezes = [
        Freeze(moments.begin_of(each.begin, zone), moments.end_of(each.end, zone), each.reason, tuple(each.unless))
        for each in table.freezes
    ]
    waivers = [
        FixWaiver(each.advisory, each.owner, each.reason, moments.end_of(each.end, zone), tuple(each.groups))
        for each in table.waivers
    ]
    return PatchPolicy(
        automatic=table.automatic,
        every=table.every,
        table=table.table,
        rules=tuple(Rule(**dict(rule)) for rule in table.rules),
        exposed=tuple(table.exposed),
        time_zone=table.time_zone,
        windows=tuple(table.windows),
        freezes=tuple(freezes),
        waivers=tuple(waivers),
        raises=tuple(table.raises),
        feeds=_feeds(table.feeds, directory),
    )


def _feeds(table: FeedsTable, directory: Path) -> FeedPolicy:
    named = {kind: getattr(table, kind) for kind in get_args(Kind) if kind not in ("archive", "vex")}
    places = [(kind, place) for kind, place in named.items() if place] + [("vex", place) for place in table.vex]
    sources = (FeedSource(kind, _feed_place(place, directory)) for kind, place in places)
    keys = tuple(str(place_of(path, directory)) for path in table.vex_keys)
    return FeedPolicy(tuple(sources), table.archive, table.max_age, keys)


def _feed_place(text: str, directory: Path) -> str:
    return text if text.startswith(("http://", "https://")) else str(place_of(text, directory))


def _volume(name: str, table: VolumeTable) -> VolumeSpec:
    return VolumeSpec(name, table.path, table.size, table.owner or "")


def _policy(table: RolloutTable, *, pinned: bool) -> RolloutPolicy:
    given = {key: value for key, value in table if value is not None}
    # A server that has volumes can only go before its successor comes, whatever the strategy is called.
    strategy = "destroy-first" if pinned else table.strategy
    usual = {"max_surge": SURGE[strategy], "max_unavailable": UNAVAILABLE[strategy], "hold": HOLD[table.strategy]}
    return RolloutPolicy(**{**usual, **given})
