"""The end of a virtual machine's process is told at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.fleet.providers.qemu import follow
from bluestone.host.daemons import Daemon


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Daemon]]:
    """Two processes that stand for QEMU's, and what a third left behind."""
    made = []
    for name in ("web-1", "web-2"):
        (tmp_path / name).mkdir()
        made.append(Daemon(name, tmp_path / name / "pid", tmp_path / name / "output"))
        made[-1].start(["sleep", "600"])
    (tmp_path / "web-0").mkdir()
    (tmp_path / "web-0" / "pid").write_text("1 0\n")
    yield made
    for each in made:
        each.stop(grace=0.1)


def test_the_end_of_a_machine_is_heard_and_nothing_else(machines: list[Daemon], tmp_path: Path) -> None:
    heard, ended = threading.Semaphore(0), threading.Event()
    thread = threading.Thread(target=follow, args=(tmp_path, heard.release, ended))
    thread.start()
    assert not heard.acquire(timeout=0.3), "nothing has happened"
    machines[0].stop(grace=5)
    assert heard.acquire(timeout=10)
    assert not heard.acquire(timeout=0.7), "it is told once"
    machines[0].start(["sleep", "600"])
    machines[1].stop(grace=5)
    assert heard.acquire(timeout=10)
    ended.set()
    thread.join(10)
    assert not thread.is_alive()
