"""The daemon's life: it takes the project's lock, opens its doors, leads until asked to end, and ends in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette

from bluestone import __version__
from bluestone.app import wiring
from bluestone.app.fleet.rollout import utc_now
from bluestone.app.project import Project
from bluestone.daemon import api, presence, systemd
from bluestone.daemon.leader import Leader
from bluestone.daemon.log import Log
from bluestone.daemon.metrics import Metrics
from bluestone.daemon.notifier import Notifier
from bluestone.daemon.patcher import Patcher
from bluestone.daemon.sources import Watching
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.controller.lock import hold
from bluestone.logs.receive.listening import Server, configuration, listen_loopback, listen_unix
from bluestone.model.problem import Problem, Problems

SIGN_OF_LIFE = timedelta(minutes=2)
"""A daemon that has got nowhere for so long hangs; no single call may take as long."""

PATIENCE = systemd.STOP - 30.0
"""Seconds for actions that have begun, once the daemon is asked to end."""

PULSE = 1.0
"""Seconds between two looks at itself."""

OWNER_ONLY = 0o600
"""Who may open the socket may command the daemon."""

MISTAKE = 70
"""Exit status (EX_SOFTWARE in sysexits.h) after a mistake of its own: systemd starts it anew."""


class Options(Struct, frozen=True):
    """How to serve, where it is not as declared."""

    every: timedelta | None = None
    listen: str | None = None


def serve(project: Project, options: Options, log: Log) -> int:
    """Lead a project until SIGTERM or SIGINT; return the exit status.

    Raises `Problem` if somebody else leads it, or where it cannot listen.
    """
    with hold(project.lock_file):
        return asyncio.run(_Daemon(project, options, log).live())


class _Daemon:
    def __init__(self, project: Project, options: Options, log: Log) -> None:
        self._project = project
        self._listen = options.listen or project.declaration.serve.listen
        self._log = log
        self._metrics = Metrics()
        self._systemd = systemd.Notifier()
        every = options.every or project.declaration.serve.every
        self._notifier = Notifier(project.name, _journals(project), log, self._metrics)
        self._leader = Leader(project, every, log, self._metrics, lambda _: self._notifier.wake())
        self._watching = Watching(self._leader.wake, log)
        self._patcher = Patcher(self._leader, log)
        self._signs = api.Signs(self._leader, self._metrics, os.getpid(), utc_now(), SIGN_OF_LIFE)
        self._ending = asyncio.Event()
        self._mistake: BaseException | None = None

    async def live(self) -> int:
        door = presence.socket_of(self._project)
        listening = [(api.commanding(self._signs), listen_unix(door, OWNER_ONLY))]
        if self._listen:
            listening.append((api.looking(self._signs), listen_loopback(self._listen)))
        servers = [_server(app) for app, _ in listening]
        talking = [
            asyncio.create_task(server.serve([where])) for server, (_, where) in zip(servers, listening, strict=True)
        ]
        self._heed_signals()
        self._record("daemon.started", f"process {os.getpid()}, bluestone {__version__}, user id {os.getuid()}")
        leading = threading.Thread(target=self._lead, args=(asyncio.get_running_loop(),), name="lead")
        leading.start()
        self._patcher.start()
        self._systemd.tell(READY="1")
        try:
            await self._pulse()
        finally:
            self._systemd.tell(STOPPING="1", STATUS="waiting for what has begun")
            self._patcher.stop()
            self._leader.stop()
            ended = await self._wait_for(leading)
            self._watching.stop()
            self._notifier.stop()
            self._record("daemon.ended", f"process {os.getpid()}")
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*talking)
            door.unlink(missing_ok=True)
        if not ended:
            # Threads that still wait for a call would keep the process: whoever leads next looks what became of it.
            self._log.say("warning", "daemon.ended", f"something that had begun did not end within {PATIENCE:g} s")
            sys.stderr.flush()
            os._exit(0)
        return MISTAKE if self._mistake else 0

    def _lead(self, loop: asyncio.AbstractEventLoop) -> None:
        """The leader's thread."""
        try:
            self._leader.run()
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._mistake = error
            self._log.mistake(error)
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._ending.set)

    async def _pulse(self) -> None:
        """Until it is to end: show that it lives; watch, and have told, what the newest declaration names."""
        status, last = "", 0.0
        clock = asyncio.get_running_loop().time
        while not self._ending.is_set():
            project = self._leader.project
            self._watching.follow(wiring.sources(project, {group.provider for group in project.groups}))
            await asyncio.to_thread(self._notifier.follow, project.declaration.notify)
            text = self._leader.trouble or self._leader.works_on or "keeps the servers as they were rolled out"
            if text != status:
                self._systemd.tell(STATUS=text)
                status = text
            if self._systemd.interval and clock() - last >= self._systemd.interval - PULSE:
                if self._signs.alive(utc_now()):
                    self._systemd.tell(WATCHDOG="1")
                last = clock()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), PULSE)

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)

    def _end(self, number: int) -> None:
        if self._ending.is_set():
            self._log.say("warning", "daemon.ended", "asked to end once more: it ends at once")
            os._exit(128 + number)
        self._log.say("info", "daemon.ending", f"asked to end by {signal.Signals(number).name}")
        self._ending.set()

    def _read_again(self) -> None:
        """Read from the file who is to be told, and when to patch; what servers there are is the business of `up`."""
        try:
            read = Project.open(self._project.file).declaration
        except (Problem, Problems) as error:
            self._log.say("error", "declaration.refused", str(error))
            return
        now = self._leader.project
        self._leader.project = now.renewed(declaration=replace(now.declaration, notify=read.notify, patch=read.patch))
        self._log.say("info", "declaration.read", "who is told of events, and when to patch, was read anew")

    async def _wait_for(self, thread: threading.Thread) -> bool:
        """Wait for a thread to end; return whether it did."""
        await asyncio.to_thread(thread.join, PATIENCE)
        return not thread.is_alive()

    def _record(self, kind: str, text: str) -> None:
        entry = Entry(kind, message=text)
        self._log.entry(entry)
        # With a full disk it can do little, but it can still say so.
        with suppress(Problem):
            self._project.journal.record(utc_now(), [entry])


def _server(app: Starlette) -> Server:
    return Server(configuration(app))


def _journals(project: Project) -> Callable[[], Journal]:
    """Opens the project's journal anew each time: a connection is one thread's."""
    return lambda: replace(project).journal
