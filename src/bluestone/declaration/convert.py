"""Turns checked tables into the model."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bluestone.declaration import texts
from bluestone.declaration.keys import (
    AnsibleTable,
    ArchiveTable,
    DeclarationTable,
    FileTable,
    GroupTable,
    HealthTable,
    ImageTable,
    LogsTable,
    NotifyTable,
    PuppetTable,
    RolloutTable,
    StateTable,
    VolumeTable,
    WebHookTable,
)
from bluestone.model.declaration import Declaration, Store
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
from bluestone.model.logs import LogKeeping, LogListening
from bluestone.model.notify import NotifyPolicy, ServePolicy, WebHook
from bluestone.model.recipe import Ansible, Archive, Base, LocalPackage, OverlayFile, Puppet, Recipe, Waiver
from bluestone.model.volume import VolumeSpec

SURGE = {"blue-green": Amount(100, percent=True), "rolling": Amount(1), "destroy-first": Amount(0)}
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
        logs=_logs(table.logs),
        listen=LogListening(table.logs.listen.http, table.logs.listen.syslog, tuple(table.logs.listen.names)),
        serve=ServePolicy(**dict(table.serve)),
        notify=_notify(table.notify, directory),
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
    return OverlayFile(texts.normal(target), source, table.content, table.mode, table.owner)


def _store(table: StateTable, directory: Path) -> Store | None:
    if table.store is None:
        return None
    return Store(table.store, _secret("password", table.password, directory) if table.password else None)


def _logs(table: LogsTable) -> LogKeeping:
    return LogKeeping(table.keep, table.size, dict(table.groups))


def _group(name: str, table: GroupTable, directory: Path) -> Group:
    return Group(
        name=name,
        provider=table.provider,
        count=table.count,
        ports=tuple(Port(**dict(port)) for port in table.ports),
        health=Health(**dict(table.health or HealthTable())),
        resources=Resources(**dict(table.resources)),
        environment=dict(table.environment),
        secrets=tuple(_secret(name, where, directory) for name, where in table.secrets.items()),
        volumes=tuple(_volume(name, volume) for name, volume in table.volumes.items()),
        rollout=_policy(table.rollout, pinned=bool(table.volumes)),
        on_drift=DriftPolicy(table.on_drift.then, tuple(table.on_drift.ignore)),
        logs=LogPolicy(tuple(table.logs.files), tuple(table.logs.mask)),
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


def _volume(name: str, table: VolumeTable) -> VolumeSpec:
    return VolumeSpec(name, table.path, table.size, table.owner or "")


def _policy(table: RolloutTable, *, pinned: bool) -> RolloutPolicy:
    given = {key: value for key, value in table if value is not None}
    # A server that has volumes can only go before its successor comes, whatever the strategy is called.
    strategy = "destroy-first" if pinned else table.strategy
    usual = {"max_surge": SURGE[strategy], "max_unavailable": UNAVAILABLE[strategy], "hold": HOLD[table.strategy]}
    return RolloutPolicy(**{**usual, **given})
