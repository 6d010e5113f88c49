"""Which lines are sealed already: asked of the segments themselves, so that nothing more has to be kept."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from bluestone.logs.ingest.lines import Line, parse_line
from bluestone.logs.store.parts import Damaged, Parts, Span

if TYPE_CHECKING:
    from bluestone.logs.store.segment import Segment

OPEN = 8
"""Segments whose times are kept in memory at once."""


class Sealed:
    """The lines in segments, by server, time and key.

    A line that is sent again has the time that it had. So only where a server has lines of that time is one looked
    for, and a line newer than all that are sealed of its server, as nearly every one is, costs nothing.
    """

    def __init__(self, directory: Path, database: sqlite3.Connection) -> None:
        self._directory = directory
        self._database = database
        self._spans: dict[int, list[tuple[str, Span]]] = {}
        self._newest: dict[int, int] = {}
        self._known: set[str] = set()
        self._open: OrderedDict[str, Segment] = OrderedDict()
        self._version = -1
        self.refresh()

    def refresh(self) -> bool:
        """Learn of segments that came or went; whether any did."""
        version = self._database.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return False
        self._version = version
        there = {row[0] for row in self._database.execute("SELECT file FROM segments")}
        if there == self._known:
            return False
        for server, spans in list(self._spans.items()):
            self._spans[server] = [(file, span) for file, span in spans if file in there]
        for file in sorted(there - self._known):
            self._learn(file)
        for file in self._known - there:
            self._open.pop(file, None)
        self._known = there
        return True

    def has(self, server: int, line: Line) -> bool:
        """Whether this line is sealed. One in a damaged segment is not: it may be sent again."""
        if line.at > self._newest.get(server, -1):
            return False
        return any(
            span.oldest <= line.at <= span.newest and self._holds(file, span, line)
            for file, span in self._spans.get(server, ())
        )

    def has_equal(self, server: int, line: Line) -> bool:
        """Whether a line of that time with the same content is sealed: for lines that have no name."""
        return any(
            span.oldest <= line.at <= span.newest and line.original in self._same_time(file, span, line.at)
            for file, span in self._spans.get(server, ())
        )

    def _holds(self, file: str, span: Span, line: Line) -> bool:
        return any(parse_line(original, line.at).key == line.key for original in self._same_time(file, span, line.at))

    def _same_time(self, file: str, span: Span, at: int) -> list[bytes]:
        """A server's lines of one instant; none of a segment that is damaged."""
        try:
            return self._segment(file).lines_at(span, at)
        except (Damaged, FileNotFoundError):
            return []

    def _learn(self, file: str) -> None:
        try:
            spans = Parts(self._directory / "days" / file).known.footer.spans
        except (Damaged, FileNotFoundError):
            return
        for span in spans:
            self._spans.setdefault(span.server, []).append((file, span))
            self._newest[span.server] = max(self._newest.get(span.server, -1), span.newest)

    def _segment(self, file: str) -> Segment:
        # Not above: it takes numpy, which a receiver to whom nothing is sent again can do without.
        from bluestone.logs.store.segment import Segment

        if file not in self._open:
            self._open[file] = Segment(self._directory / "days" / file)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(file)
        return self._open[file]
