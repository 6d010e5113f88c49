"""What has the daemon look at once, instead of when the next look is due.

A source watches something (a provider's events, files, whatever tells of a change) and calls `wake`. What it has found
it may write to the journal before; what is done about it is the planner's to say. It is a plain function, so whoever
has another thing to watch adds one to `app/wiring`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from bluestone.app.wiring import Watch
from bluestone.daemon.log import Log
from bluestone.model.problem import Problem

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a source that ended is begun again; each is twice the one before."""


class Watching:
    """Keeps sources going, each in a thread of its own. One that fails costs the time until the next look, no more."""

    def __init__(self, wake: Callable[[str], None], log: Log) -> None:
        self._wake = wake
        self._log = log
        self._ended = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def follow(self, sources: Mapping[str, Watch]) -> None:
        """Watch these too, from now on, by their names."""
        for name, watch in sources.items():
            if name not in self._threads:
                thread = threading.Thread(
                    target=self._keep_going, args=(name, watch), name=f"watch-{name}", daemon=True
                )
                self._threads[name] = thread
                thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        for thread in self._threads.values():
            thread.join(2.0)

    def _keep_going(self, name: str, watch: Watch) -> None:
        pause = FIRST_PAUSE
        while not self._ended.is_set():
            heard = False

            def wake() -> None:
                nonlocal heard
                heard = True
                self._wake(name)

            try:
                watch(wake, self._ended)
                why = "it ended"
            except (Problem, OSError) as error:
                why = error.what if isinstance(error, Problem) else str(error)
            if self._ended.is_set():
                return
            pause = FIRST_PAUSE if heard else min(2 * pause, LONGEST_PAUSE)
            self._log.say("warning", "source.ended", f"{name} tells of nothing for {pause:g} s: {why}")
            self._ended.wait(pause)
