"""The store on this machine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bluestone.logs.query import statistics
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.query.statistics import Histogram, Top
from bluestone.logs.store.database import FILE
from bluestone.model.problem import Problem


class Embedded(Archive):
    """A back end that is a log store in a directory."""

    def histogram(self, query: Query, step: timedelta | None = None) -> Histogram:
        """Found lines over time."""
        return statistics.histogram(self, query, step)

    def top(self, query: Query, field: str, count: int) -> Top:
        """The values that most of the found lines have."""
        return statistics.top(self, query, field, count)


def opened(directory: Path) -> Embedded:
    """A store that must be there already: of another machine or project, copied or mounted. Raises `Problem`."""
    if not (directory / FILE).exists():
        raise Problem(
            f"there is no log store in {directory}",
            mend='name the directory that holds lines.sqlite3, or take it out of "also"',
        )
    return Embedded(directory)
