"""How a project's log lines are kept: rules, holds, checks, and the way to another store."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bluestone.app.logs.logs import Asked, reading
from bluestone.app.project import Project
from bluestone.logs.store.database import connect
from bluestone.logs.store.keeping import Hold, Keeping, holds, set_rules
from bluestone.logs.store.keeping import hold as hold_lines
from bluestone.logs.store.keeping import release as release_lines
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.logs.store.check import Report


def keep(project: Project) -> None:
    """Have the declared rules from now on; the store itself removes what they do not keep."""
    declared = project.declaration.logs
    with closing(connect(project.logs)) as database:
        set_rules(database, Keeping(declared.keep, declared.size, dict(declared.groups)))


def check(project: Project) -> Report:
    """Verify every checksum of the store. Raises `Problem`."""
    from bluestone.logs.store.check import check as look

    return look(project.logs)


def export(project: Project, asked: Asked, output: Path) -> int:
    """Write the lines that are asked for to a file; how many they are. Raises `Problem`, `OSError`."""
    from bluestone.logs.store.carry import export as write

    with reading(project, replace(asked, limit=None)) as found:
        return write(found.lines(), output)


def take_in(project: Project, source: Path) -> tuple[int, int]:
    """Store lines that were exported; how many are new, and how many were there. Raises `Problem`, `OSError`."""
    from bluestone.logs.store.carry import take_in as read

    return read(project.logs, source)


def hold(project: Project, target: str, reason: str) -> None:
    """Keep the lines of a group or server whatever the rules say. Raises `Problem` for a name that nobody has had."""
    with reading(project, Asked(target)), closing(connect(project.logs)) as database:
        hold_lines(database, target, reason, datetime.now(UTC))


def release(project: Project, target: str) -> None:
    """Have the rules again. Raises `Problem` if it is not held."""
    with closing(connect(project.logs)) as database:
        if not release_lines(database, target):
            raise Problem(f"{target} is not held", mend="see `bluestone logs hold`")


def held(project: Project) -> list[Hold]:
    """What is held."""
    with closing(connect(project.logs)) as database:
        return holds(database)
