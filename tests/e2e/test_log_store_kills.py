"""A writer, and what seals behind it, killed again and again: nothing acknowledged is lost, nothing is there twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.check import check
from bluestone.logs.store.seal import seal
from bluestone.model.record import Identity
from logs_setting import wait_for

pytestmark = pytest.mark.e2e

WRITER = """
import json, sys
from pathlib import Path
from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.store import store
store.TURN_LINES = 400
directory, server, number = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = store.Store(directory, behind=True)
# First what may or may not have been stored before the kill, as a shipper would.
number = max(0, number - 60)
while True:
    lines = [json.dumps({"__CURSOR": f"c{n}", "__REALTIME_TIMESTAMP": str(1795000000000000 + n), "MESSAGE": str(n)})
             for n in range(number, number + 20)]
    writer.append([store.Batch(server, tuple(parse_line(line.encode(), 1) for line in lines))])
    number += 20
    print(number, flush=True)
"""


def children(pid: int) -> list[int]:
    """Processes that it started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def test_kills_of_writer_and_sealer_lose_and_repeat_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)
    credentials = Credentials(tmp_path)
    server = credentials.holder(credentials.mint(Identity("shop", "web-1", "web", 1, "sha256:1")))
    credentials.close()
    followed: Counter[str] = Counter()
    stopped = threading.Event()

    def follow() -> None:
        archive = Archive(tmp_path)
        for record in archive.follow(Query(), stopped.is_set):
            followed[record.message] += 1
        archive.close()

    follower = threading.Thread(target=follow)
    follower.start()
    acknowledged = 0
    for kill in range(8):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(server), str(acknowledged)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        acknowledged = int(writer.stdout.readline())
        threading.Timer(chance.uniform(0.1, 0.7), writer.kill).start()
        if kill % 2:
            time.sleep(chance.uniform(0, 0.2))
            for child in children(writer.pid):
                os.kill(child, signal.SIGKILL)
        for said in writer.stdout:
            acknowledged = int(said)
        writer.wait(30)
    archive = Archive(tmp_path)
    shown = Counter(record.message for record in archive.search(Query()))
    assert not [message for message, times in shown.items() if times > 1], "some lines are there twice"
    assert {str(number) for number in range(acknowledged)} <= shown.keys(), "acknowledged lines are lost"
    wait_for(lambda: len(followed) >= len(shown))
    stopped.set()
    follower.join(60)
    assert followed == shown
    seal(tmp_path)
    assert Counter(record.message for record in archive.search(Query())) == shown
    assert archive.writers()[0].lines == len(shown)
    assert check(tmp_path).damages == ()
    archive.close()
