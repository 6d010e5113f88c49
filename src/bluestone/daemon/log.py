"""What the daemon says of itself: one line of JSON for each thing that happens, on its standard error."""

from __future__ import annotations

import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

from bluestone.fleet.controller.journal import Entry

Level = Literal["debug", "info", "warning", "error"]

PRIORITY: dict[str, Level] = {
    "rollout.halted": "error",
    "fleet.unseen": "error",
    "rollout.paused": "warning",
    "server.tainted": "warning",
    "server.died": "warning",
    "server.down": "warning",
    "action.failed": "warning",
    "action.lost": "warning",
    "notice.lost": "warning",
}
"""How grave an entry of the journal is; the others tell what goes as it should."""


class Log:
    """Writes lines; any thread may."""

    def __init__(self, project: str, stream: TextIO | None = None) -> None:
        self._project = project
        self._stream = stream
        self._alone = threading.Lock()

    def say(self, level: Level, event: str, message: str, **fields: Any) -> None:
        """One line. `event` is what happened, in one word or `noun.verb`; `fields` are what a machine may look for."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "project": self._project,
            "event": event,
            "message": message,
        }
        text = msgspec.json.encode(line | fields, enc_hook=str).decode()
        with self._alone:
            print(text, file=self._stream or sys.stderr, flush=True)

    def mistake(self, error: BaseException) -> None:
        """A mistake of our own, with where it was made."""
        where = "".join(traceback.format_exception(error))
        self.say("error", "mistake", f"{type(error).__name__}: {error}", traceback=where)

    def entry(self, entry: Entry) -> None:
        """An entry of the journal."""
        named = {"group": entry.group, "server": entry.server}
        fields: dict[str, Any] = {name: value for name, value in named.items() if value}
        self.say(PRIORITY.get(entry.kind, "info"), entry.kind, entry.message, **fields, data=entry.data)
