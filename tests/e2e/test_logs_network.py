"""A network that is slow, cut and lossy between a real shipper and a real receiver."""

from __future__ import annotations

import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bluestone.logs.audit import account
from bluestone.logs.query.asked import Query
from bluestone.logs.ship.agent import bootfiles
from bluestone.model.group import LogPolicy
from logs_setting import Setting, wait_for

pytestmark = pytest.mark.e2e


class Network:
    """Passes connections on, slowly if told to, and cuts them after a number of bytes, whatever travels just then."""

    def __init__(self, path: Path, target: Path, seed: int) -> None:
        self.path, self._target = path, target
        self._chance = random.Random(seed)
        self.up, self.cuts, self.pause, self.longest = True, 0, 0.0, 400_000
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self) -> None:
        """From the next connection on, nothing is slow or cut."""
        self.pause, self.longest = 0.0, 1 << 40

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far, suppress(OSError):
            if not self.up:
                return
            far.connect(str(self._target))
            budget = [self._chance.randrange(1, self.longest)]
            back = threading.Thread(target=self._pump, args=(far, near, budget), daemon=True)
            back.start()
            self._pump(near, far, budget)

    def _pump(self, source: socket.socket, sink: socket.socket, budget: list[int]) -> None:
        with suppress(OSError):
            while data := source.recv(16_384):
                time.sleep(self.pause)
                budget[0] -= len(data)
                if budget[0] < 0 or not self.up:
                    self.cuts += 1
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    setting.close()


def reroute(setting: Setting, seed: int, policy: LogPolicy = LogPolicy()) -> Network:  # noqa: B008
    network = Network(setting.directory / "network", setting.receiver.socket, seed)
    here = setting.directory / "server"
    token = (here / "token").read_text().strip()
    for name, content in bootfiles(f"unix:{network.path}", token, policy=policy).items():
        (here / Path(name).name).write_bytes(content)
    return network


def heads(setting: Setting) -> list[bytes]:
    """How far the shipper has read, in the words of its queue."""
    found = []
    for path in (setting.directory / "server" / "queue").iterdir():
        with suppress(FileNotFoundError):
            if path.suffix == ".new":  # not there yet, should it be killed now
                continue
            found.append(path.read_bytes().partition(b"\n\n")[0])
    return found


def assert_all_is_accounted_for(setting: Setting) -> None:
    found = account(setting.archive.counted("web-1"))
    assert (found.gaps, found.twice) == ((), 0)
    assert found.goodbye == found.last == found.found


def test_a_network_that_is_cut_anywhere_loses_and_repeats_nothing(setting: Setting) -> None:
    setting.receiver.ensure()
    network = reroute(setting, seed=5)
    shipper = setting.start_shipper()
    writing = setting.journal.write_steadily(12_000, per_second=6_000)
    writing.join()
    network.up = False
    setting.journal.write(500)
    wait_for(lambda: b"cannot be reached" in (setting.directory / "server" / "said").read_bytes())
    network.up = True
    wait_for(lambda: setting.stored() == setting.journal.count)
    network.mend()  # it has a few seconds for its goodbye, also beside another lane of tests
    shipper.send_signal(signal.SIGTERM)
    assert shipper.wait(20) == 0, (setting.directory / "server" / "said").read_text()
    network.close()
    assert network.cuts > 3
    setting.assert_each_line_once()
    assert_all_is_accounted_for(setting)


def test_files_over_a_slow_network_and_kill_9_in_between(setting: Setting) -> None:
    """Lines of a file that is rotated meanwhile, beside the journal's."""
    setting.receiver.ensure()
    log = setting.directory / "app.log"
    network = reroute(setting, 9, LogPolicy(files=(str(log),)))
    network.pause = 0.005
    shipper = setting.start_shipper()
    wait_for(lambda: (setting.directory / "server" / "queue" / "progress").exists())
    written = 0
    for part in range(4):
        setting.journal.write(200)
        with log.open("a") as file:
            for _ in range(500):
                written += 1
                file.write(f"from a file {written}\n")
        if part % 2:
            # A file that nobody has looked at before it is renamed is not found: it must be known by then.
            inode = f" {log.stat().st_ino} ".encode()
            wait_for(lambda inode=inode: any(inode in each for each in heads(setting)))  # type: ignore[misc]
            log.rename(setting.directory / f"app.log.{part}")
        shipper.kill()
        shipper.wait()
        shipper = setting.start_shipper()
    wait_for(lambda: setting.stored() == setting.journal.count + written)
    network.mend()  # it has a few seconds for its goodbye, also beside another lane of tests
    shipper.send_signal(signal.SIGTERM)
    assert shipper.wait(20) == 0, (setting.directory / "server" / "said").read_text()
    network.close()
    shown = [each.message for each in setting.archive.search(Query(server="web-1")) if each.unit == str(log)]
    assert sorted(shown) == sorted(f"from a file {number}" for number in range(1, written + 1))
    assert_all_is_accounted_for(setting)
