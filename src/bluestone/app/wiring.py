"""The one place that picks adapters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bluestone.app.fleet.outfit import read_secret
from bluestone.app.project import Project
from bluestone.host.commands import require_all
from bluestone.model.declaration import Store
from bluestone.model.problem import MissingTool, Problem, Problems

if TYPE_CHECKING:
    from bluestone.fleet.balancer import Balancer
    from bluestone.fleet.controller.journal import Journal
    from bluestone.fleet.provider import Provider
    from bluestone.fleet.providers.podman import Podman
    from bluestone.hours.price_source import PriceSource
    from bluestone.image.builders.port import Engine
    from bluestone.image.store import ImageStore
    from bluestone.logs.backend import Backend
    from bluestone.logs.receive.service import Receiver
    from bluestone.logs.sink import Chosen
    from bluestone.model.generation import ServerConfig
    from bluestone.model.record import Identity

ENTRY_POINTS = "bluestone.providers"
"""Entry points by which other packages add providers: each is called as `f(project, image store)`."""

SINK_ENTRY_POINTS = "bluestone.log_sinks"
"""Those by which they add kinds of log sinks: each is called as `f(options)`, in a process of its own."""

PRICE_ENTRY_POINTS = "bluestone.prices"
"""Those by which they add sources of prices: each is called as `f()`."""

SINKS = {"elasticsearch": "bluestone.logs.sinks.elasticsearch:open_sink"}

LOG_MOUNT = "/run/bluestone-log"
"""Where a server that shares this machine's files finds the receiver's socket."""

Watch: TypeAlias = "Callable[[Callable[[], None], threading.Event], None]"
"""Watches until the event is set, and calls the function whenever something may have changed. May raise `Problem`."""

MakeProvider: TypeAlias = "Callable[[Project, ImageStore], Provider]"


def journal_here(path: Path) -> Journal:
    """A journal in a file."""
    from bluestone.fleet.journals.sqlite import SqliteJournal

    return SqliteJournal(path)


def journal_elsewhere(project: str, store: Store) -> Journal:
    """The journal of the project of that name in a database."""
    try:
        from bluestone.fleet.journals.postgres import PostgresJournal
    except ImportError as error:
        raise Problem(
            f"the journal is in PostgreSQL, for which something is not installed: {error}",
            mend="pip install 'bluestone[postgres]'",
        ) from error
    password = read_secret(store.password).decode().rstrip("\r\n") if store.password else None
    return PostgresJournal(project, store.address, password)


def images(project: Project) -> ImageStore:
    """The image store of this machine."""
    from bluestone.image.store import ImageStore

    return ImageStore(project.home.images)


def memory_journal() -> Journal:
    """A journal that is gone with whoever asked for it."""
    return journal_here(Path(":memory:"))


def engine() -> Engine:
    """What installs the packages of an image."""
    from bluestone.image.builders.own.engine import Own

    return Own()


def require_tools(project: Project, *, building: bool) -> None:
    """Raise `Problems` for every outside program that leading this project to its goal will need, and is not here.

    `building` is whether the image has still to be built: finding out after that would be late.
    """
    used = {group.provider for group in project.groups}
    needed = [TOOL[name] for name in sorted(used & TOOL.keys())]
    needed += ["haproxy"] if any(group.ports for group in project.groups) else []
    needed += ["apt-get", "dpkg-deb"] if building else []
    problems: list[Problem] = []
    try:
        require_all(needed)
    except Problems as missing:
        problems += missing.problems
    if "qemu" in used:
        from bluestone.fleet.providers.qemu.provider import find_firmware

        try:
            find_firmware()
        except MissingTool as missing_firmware:
            problems.append(missing_firmware)
    if problems:
        raise Problems(problems)


def providers(project: Project, names: Iterable[str]) -> Mapping[str, Provider]:
    """The providers of these names. Raises `Problem` for a name that nothing provides."""
    store = images(project)
    begun = project.looking
    return {name: begun.pop(name) if name in begun else _maker(name)(project, store) for name in sorted(set(names))}


def look_ahead(project: Project, *, beside: bool = False) -> None:
    """Have providers begin to list servers, for a verb that only looks: it can load what it needs meanwhile.

    `beside` is whether it will also ask what else is there.
    """
    if any(group.provider == "podman" for group in project.groups):
        provider = _podman(project, images(project))
        with suppress(Problem):  # who asks for the list is told
            provider.look_ahead(beside=beside)
        project.looking["podman"] = provider


def name_beside(project: Project) -> str:
    """What providers know those servers by that are beside a project's fleet: no project can be called so."""
    return f"{project.name}.beside"


def beside(project: Project) -> Path:
    """What such servers are handed is below this."""
    return project.runtime / "beside"


def provider_beside(project: Project, name: str) -> Provider | None:
    """The provider of that name with nothing of the project's in sight; None of one that is not bluestone's own."""
    maker = OWN.get(name)
    return maker(project, images(project), name_beside(project), beside(project)) if maker else None


def sources(project: Project, names: Iterable[str]) -> dict[str, Watch]:
    """What tells at once of changes to servers of these providers, by name; and what looks for drift among them."""
    from bluestone.app.fleet import drift

    found: dict[str, Watch] = {}
    if "podman" in names:
        from bluestone.fleet.providers.podman.events import follow

        found["podman"] = lambda heard, ended: follow(project.name, heard, ended)
    if "qemu" in names:
        from bluestone.fleet.providers import qemu

        found["qemu"] = lambda heard, ended: qemu.follow(project.runtime / "machines", heard, ended)
    hints = [found[name] for name in ("podman",) if name in found]
    found["drift"] = lambda heard, ended: drift.watch(project, heard, ended, hints)
    return found


def balancer(project: Project) -> Balancer:
    """The balancer in front of the project's servers."""
    from bluestone.fleet.balancers.haproxy import HAProxy

    return HAProxy(project.name, project.state / "balancer", project.runtime / "balancer")


def receiver(project: Project, providers: Iterable[str] = ()) -> Receiver:
    """What receives the log lines of servers, those of these providers among them."""
    from bluestone.logs.receive.service import Machines, Receiver

    machines = None
    if "qemu" in providers:
        from bluestone.fleet.providers.qemu import GATEWAY

        machines = Machines(GATEWAY, consoles(project))
    return Receiver(project.logs, project.runtime / "logs", machines, project.declaration.listen, sinks(project))


def sinks(project: Project) -> list[Chosen]:
    """Where log lines go besides the store. Raises `Problem` for a kind that nobody knows."""
    if not project.declaration.sinks:
        return []
    from bluestone.logs.sink import Chosen

    return [Chosen(each.name, _opener(each.kind), dict(each.options)) for each in project.declaration.sinks]


def log_backend(project: Project) -> Backend:
    """Where the project's log lines are searched: its store, and those declared beside it. Raises `Problem`."""
    from bluestone.logs.backends.embedded import Embedded, opened
    from bluestone.logs.backends.federated import Federated

    own = Embedded(project.logs)
    also = project.declaration.logs.also
    return Federated([own, *(opened(Path(place)) for place in also)]) if also else own


def _opener(kind: str) -> str:
    """What opens sinks of a kind: `module:function`."""
    if kind in SINKS:
        return SINKS[kind]
    from importlib.metadata import entry_points

    found = entry_points(group=SINK_ENTRY_POINTS)
    if kind in found.names:
        return found[kind].value
    raise Problem(
        f'no kind of log sink is called "{kind}"', mend=f"choices: {', '.join([*SINKS, *sorted(found.names)])}"
    )


def price_source(kind: str) -> PriceSource:
    """Who tells prices of this kind. Raises `Problem` for one that nobody is."""
    from importlib.metadata import entry_points

    from bluestone.hours.sources.azure import AzureRetail

    if kind == "azure-retail":
        return AzureRetail()
    found = entry_points(group=PRICE_ENTRY_POINTS)
    if kind in found.names:
        source: PriceSource = found[kind].load()()
        return source
    raise Problem(
        f'no source of prices is called "{kind}"', mend=f"choices: {', '.join(['azure-retail', *sorted(found.names)])}"
    )


def log_files(receiver: Receiver, identity: Identity, config: ServerConfig) -> dict[str, bytes]:
    """What a server is handed so that its lines reach the receiver: its credential is made here. Raises `Problem`."""
    from bluestone.logs.ship.agent import bootfiles

    if config.provider == "qemu":
        certificate = receiver.certificate_for(identity)
        return bootfiles(receiver.address, authority=receiver.authority, certificate=certificate, policy=config.logs)
    endpoint = f"unix:{LOG_MOUNT}/{receiver.socket.name}"
    return bootfiles(endpoint, receiver.token_for(identity), policy=config.logs)


def consoles(project: Project) -> Path:
    """Where virtual machines' consoles are kept until the receiver has stored them."""
    return project.state / "consoles"


def _maker(name: str) -> MakeProvider:
    if name in OWN:
        return OWN[name]
    from importlib.metadata import entry_points

    found = entry_points(group=ENTRY_POINTS)
    if name in found.names:
        maker: MakeProvider = found[name].load()
        return maker
    raise Problem(
        f'no provider is called "{name}"',
        mend=f"choices: {', '.join([*OWN, *sorted(found.names)])}",
    )


def _podman(project: Project, store: ImageStore, name: str = "", runtime: Path | None = None) -> Podman:
    from bluestone.fleet.providers.podman import Podman
    from bluestone.image.packages import parse_status

    return Podman(
        name or project.name,
        locate_root=store.root,
        run_directory=(runtime or project.runtime) / "servers",
        log_directory=receiver(project).socket.parent,
        read_packages=parse_status,
        snapshot_directory=project.state / "volumes" / (name or project.name),
    )


def _qemu(project: Project, store: ImageStore, name: str = "", runtime: Path | None = None) -> Provider:
    from bluestone.app.image.disks import disk_of
    from bluestone.fleet.providers.qemu import Media, Qemu

    return Qemu(
        name or project.name,
        locate_media=lambda digest: Media(disk_of(project, store.get(digest))),
        run_directory=(runtime or project.runtime) / "machines",
        console_directory=consoles(project),
        accelerator_cache=project.home.run / "accelerator",
    )


OWN: Mapping[str, Callable[..., Provider]] = {"podman": _podman, "qemu": _qemu}
TOOL = {"podman": "podman", "qemu": "qemu-system-x86_64"}
"""The providers that come with bluestone, and the program that each drives."""
