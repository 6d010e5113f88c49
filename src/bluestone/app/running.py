"""The servers of a project that are there now, as its providers list them."""

from __future__ import annotations

from datetime import UTC, datetime

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.fleet.controller.observe import Listing, Lookout


def running(project: Project) -> Listing:
    """All servers that any provider lists which the project uses or used, and what could not be listed."""
    names = project.journal.providers() | {group.provider for group in project.groups}
    return Lookout(wiring.providers(project, names)).list_servers(datetime.now(UTC))
