"""The projects that share this machine's image store."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from bluestone.app.project import Project
from bluestone.app.state import HERE, located


def on_this_machine(project: Project) -> Iterator[Project]:
    """All projects of this machine; of others than this one the name is all that is known."""
    kept = project.home.state / "projects"
    for directory in sorted(kept.iterdir()) if kept.exists() else ():
        store = located(directory)
        if store is not None or (directory / HERE).exists():
            known = replace(project.declaration, project=directory.name, groups=(), store=store)
            yield project if directory.name == project.name else replace(project, declaration=known)
