"""The one place that picks adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from bluestone.app.project import Project
from bluestone.fleet.balancer import Balancer
from bluestone.fleet.provider import Provider
from bluestone.host.commands import require_all
from bluestone.image.store import ImageStore
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.image.builders.port import Engine
    from bluestone.logs.service import Receiver

ENTRY_POINTS = "bluestone.providers"
"""Entry points by which other packages add providers: each is called as `f(project, image store)`."""

MakeProvider = Callable[[Project, ImageStore], Provider]


def images(project: Project) -> ImageStore:
    """The image store of this machine."""
    return ImageStore(project.home.images)


def engine() -> Engine:
    """What builds the base of an image."""
    from bluestone.image.builders.mmdebstrap import Mmdebstrap

    return Mmdebstrap()


def require_tools(project: Project, *, building: bool) -> None:
    """Raise `Problems` for every outside program that leading this project to its goal will need, and is not here.

    `building` is whether the image has still to be built: finding out after that would be late.
    """
    needed = ["podman"] if any(group.provider == "podman" for group in project.groups) else []
    needed += ["haproxy"] if any(group.ports for group in project.groups) else []
    require_all([*needed, *(["mmdebstrap"] if building else [])])


def providers(project: Project, names: Iterable[str]) -> Mapping[str, Provider]:
    """The providers of these names. Raises `Problem` for a name that nothing provides."""
    store = images(project)
    return {name: _maker(name)(project, store) for name in sorted(set(names))}


def balancer(project: Project) -> Balancer:
    """The balancer in front of the project's servers."""
    from bluestone.fleet.balancers.haproxy import HAProxy

    return HAProxy(project.name, project.state / "balancer", project.runtime / "balancer")


def receiver(project: Project) -> Receiver:
    """What receives the servers' log lines."""
    from bluestone.logs.service import Receiver

    return Receiver(project.logs, project.runtime / "logs")


def _maker(name: str) -> MakeProvider:
    if name == "podman":
        return _podman
    from importlib.metadata import entry_points

    found = entry_points(group=ENTRY_POINTS)
    if name in found.names:
        maker: MakeProvider = found[name].load()
        return maker
    raise Problem(
        f'no provider is called "{name}"',
        mend=f"choices: {', '.join(['podman', *sorted(found.names)])}",
    )


def _podman(project: Project, store: ImageStore) -> Provider:
    from bluestone.fleet.providers.podman import Podman

    return Podman(
        project.name,
        locate_root=store.root,
        run_directory=project.runtime / "servers",
        log_directory=receiver(project).socket.parent,
    )
