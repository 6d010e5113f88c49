"""Looks for fixes every so long, and has what it finds rolled out where the declaration allows that.

What a rollout needs is prepared in a thread of its own, as an image is built for a minute: the leader keeps the fleet
meanwhile. The rollout itself is a command as any other, in its turn.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime

from msgspec.structs import replace

from bluestone.app.fleet.rollout import utc_now
from bluestone.app.patch import patch as patching
from bluestone.app.patch.outlook import Outlook
from bluestone.app.project import Caller, Project
from bluestone.daemon.job import Job
from bluestone.daemon.leader import Leader
from bluestone.daemon.log import Log
from bluestone.daemon.messages import Ask
from bluestone.fleet.controller.journal import Entry
from bluestone.model.problem import Problem, Problems

BY = "bluestone"
"""Who the journal says has patched."""

SLICE = 1.0
"""Seconds between two looks whether it is time, or something else is declared."""

AGAIN = 60.0
"""Seconds until it is tried again where the leader is at work for somebody, or something hinders."""


class Ending(Exception):
    """The daemon ends: what was being prepared is left, and prepared anew by the next one."""


class Patcher:
    """The thread that patches by itself, while `patch.automatic` is declared."""

    def __init__(self, leader: Leader, log: Log) -> None:
        self._leader = leader
        self._log = log
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="patch", daemon=True)
        self._waits = ""

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is being prepared is left."""
        self._ended.set()

    def _run(self) -> None:
        due = 0.0
        while not self._ended.wait(SLICE):
            policy = self._leader.project.declaration.patch
            if not policy.automatic or not self._leader.epoch:
                due = 0.0
            elif time.monotonic() >= due:
                due = time.monotonic() + min(self._patch(), policy.every.total_seconds())

    def _patch(self) -> float:
        """Prepare what there is to patch, and have it rolled out; return in how many seconds to look again."""
        if self._leader.works_on:
            return AGAIN
        # A connection to the journal is one thread's: this one has its own.
        project: Project = replace(self._leader.project, caller=Caller(BY, dict(os.environ)))
        try:
            found = patching.prepare(project, None, by_hand=False, notify=self._notify, progress=self._say)
            if found.phase in ("roll out", "close"):
                self._leader.submit(Job(Ask("patch", BY, str(project.file.absolute())), lambda _: None))
        except Ending:
            return 0.0
        except (Problem, Problems, OSError) as error:
            self._log.say("error", "patch.failed", str(error))
            return AGAIN
        finally:
            project.journal.close()
        return self._wait(found)

    def _wait(self, found: Outlook) -> float:
        """Say, once, what is waited for; return for how long."""
        why = found.why if found.phase == "wait" else ""
        if why and why != self._waits:
            self._log.say("info", "patch.waits", f"{len(found.fixes)} fixes wait: {why}")
        self._waits = why
        opens = found.permission.opens
        return max(SLICE, (opens - utc_now()).total_seconds()) if why and opens else float("inf")

    def _notify(self, _: datetime, entry: Entry) -> None:
        self._log.entry(entry)

    def _say(self, text: str) -> None:
        self._log.say("info", "patch.prepares", text)
        if self._ended.is_set():
            raise Ending
