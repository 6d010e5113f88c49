"""Room for a server beside a project's fleet: of a project of its own for its provider, so that no plan counts it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.fleet.controller.act import STOP_GRACE
from bluestone.fleet.provider import Provider
from bluestone.host.paths import private_directory


@contextmanager
def room(project: Project, name: str, provider: Provider) -> Iterator[None]:
    """What a server beside the fleet needs around it, with nothing there before and afterwards. Raises `Problem`."""
    clear(project, name)
    private_directory(wiring.beside(project))  # It says, whatever happens now, that there is something to clear.
    provider.prepare()
    try:
        yield
    finally:
        clear(project, name)


def clear(project: Project, name: str) -> None:
    """Destroy what was beside the fleet at a provider, as after a crash, with its volumes. Raises `Problem`."""
    if not wiring.beside(project).exists() or (provider := wiring.provider_beside(project, name)) is None:
        return
    for server in provider.list_servers():
        provider.destroy(server.name, STOP_GRACE)
    for volume in provider.list_volumes():
        provider.remove_volume(volume.name)
    provider.clear()
    shutil.rmtree(wiring.beside(project), ignore_errors=True)
