"""Sources are kept going, and have the daemon look at once."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest

from bluestone.daemon import sources
from bluestone.daemon.log import Log
from bluestone.daemon.sources import Watching
from bluestone.model.problem import Problem
from daemon_world import until


def test_a_source_that_fails_is_begun_again_and_others_do_not_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FIRST_PAUSE", 0.01)
    woken: list[str] = []
    said = io.StringIO()
    begun = 0

    def falls(wake: Callable[[], None], _: threading.Event) -> None:
        nonlocal begun
        begun += 1
        wake()
        raise Problem("it fell over")

    def stays(wake: Callable[[], None], ended: threading.Event) -> None:
        wake()
        ended.wait()

    watching = Watching(woken.append, Log("shop", said))
    watching.follow({"falls": falls})
    watching.follow({"falls": falls, "stays": stays})
    until(lambda: begun >= 3 and "stays" in woken, "begun again")
    watching.stop()
    assert woken.count("stays") == 1
    assert woken.count("falls") == begun
    assert "falls tells of nothing for 0.01 s: it fell over" in said.getvalue()
