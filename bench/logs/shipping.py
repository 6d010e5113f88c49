"""The shipper and the way to `--follow`: memory, delay, kill -9 of either side, and whether gaps are found.

`python -m bench.logs.shipping` measures these alone. The journal is a file with a `journalctl` that reads it; declared
files, queue, receiver, store and reading are the real ones.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from bench.logs.journalctl import JOURNALCTL
from bluestone.host.daemons import Daemon
from bluestone.logs.audit import account, counted
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.service import Receiver
from bluestone.logs.ship.agent import agent, bootfiles
from bluestone.model.group import LogPolicy
from bluestone.model.record import Identity

KILLS = 100
PER_SECOND = 1_000
TICKS = 200
TRIALS = 500
LONG = 10 << 20
PATIENCE = 120.0


class Server:
    """A server as an image makes it: journal, a log file, and the shipper as it is laid into images."""

    def __init__(self, directory: Path, receiver: Receiver, name: str) -> None:
        self.name, self._here = name, directory / name
        self._here.mkdir(parents=True)
        self.journal, self.log = self._here / "journal", self._here / "app.log"
        self.journal.touch()
        self.log.touch()
        self.count = 0
        program = self._here / "bin" / "journalctl"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable} -IS\nJOURNAL = {str(self.journal)!r}\n{JOURNALCTL}")
        program.chmod(0o755)
        for file in agent().files:
            if file.target.startswith("/usr/lib/bluestone/"):
                place = self._here / file.target.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text((file.content or "").replace("/usr/lib", f"{self._here}/usr/lib"))
        token = receiver.token_for(Identity("bench", name, "web", 1, "sha256:" + "ab" * 32))
        policy = LogPolicy(files=(str(self.log),), mask=(r"password=(\S+)",))
        for path, content in bootfiles(f"unix:{receiver.socket}", token, policy=policy).items():
            (self._here / Path(path).name).write_bytes(content)

    def start(self) -> subprocess.Popen[bytes]:
        """The shipper, with nothing of this environment's."""
        environment = {
            "PATH": f"{self._here}/bin:{os.environ['PATH']}",
            "CREDENTIALS_DIRECTORY": str(self._here),
            "RUNTIME_DIRECTORY": str(self._here),
        }
        command = [sys.executable, "-I", "-S", str(self._here / "usr/lib/bluestone/shipper")]
        with (self._here / "said").open("ab") as said:
            return subprocess.Popen(command, env=environment, stderr=said)

    def write(self, count: int, padding: str = "") -> None:
        """Log so many more lines."""
        with self.journal.open("a") as file:
            for _ in range(count):
                self.count += 1
                fields = {
                    "__CURSOR": f"s=1;i={self.count:x}",
                    "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000),
                    "_SYSTEMD_UNIT": "app.service",
                    "_TRANSPORT": "stdout",
                    "PRIORITY": "6",
                    "MESSAGE": f"line {self.count} of a request that took 17 ms{padding}",
                }
                file.write(json.dumps(fields) + "\n")


def measure(directory: Path, kills: int = KILLS) -> dict[str, float]:
    """`shipper_mb`, `follow_p99_s`, `lost`, `twice` and `gaps_found_pct`."""
    receiver = Receiver(directory / "store", directory / "run")
    receiver.ensure()
    values: dict[str, float] = {}
    try:
        values |= delay(Server(directory, receiver, "web-1"), directory / "store")
        print(values, file=sys.stderr, flush=True)
        values |= memory(Server(directory, receiver, "web-2"), directory / "store")
        print(values, file=sys.stderr, flush=True)
        values |= faults(Server(directory, receiver, "web-3"), receiver, directory / "store", kills)
        print(values, file=sys.stderr, flush=True)
        values |= gaps(directory / "store", "web-3")
    finally:
        receiver.stop()
    return values


def faults(server: Server, receiver: Receiver, store: Path, kills: int) -> dict[str, float]:
    """Kill either side at random while lines are written; then compare each line with what is stored."""
    chance = random.Random(7)
    pid = Daemon("receiver", store.parent / "run" / "log-receiver.pid", Path(os.devnull)).pid
    shipper = server.start()

    killed = threading.Event()

    def write() -> None:
        while not killed.is_set():
            server.write(100)
            time.sleep(100 / PER_SECOND)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.3))
        if chance.random() < 0.5:
            shipper.kill()
            shipper.wait()
            shipper = server.start()
        else:
            alive = pid()
            if alive:
                os.kill(alive, signal.SIGKILL)
            receiver.ensure()
    killed.set()
    writer.join()
    end(shipper, server, store)
    shown = Counter(record.message for record in lines(store, server.name) if record.message.startswith("line "))
    written = {f"line {number} of a request that took 17 ms" for number in range(1, server.count + 1)}
    return {
        "lost": len(written - shown.keys()),
        "twice": sum(count - 1 for count in shown.values()),
        "kills": kills,
        "kill_lines": len(written),
    }


def memory(server: Server, store: Path) -> dict[str, float]:
    """The most that the shipper took, over many lines, one of megabytes, and a receiver that is reached late."""
    shipper = server.start()
    server.write(50_000)
    server.write(1, "x" * LONG)
    server.write(50_000)
    with server.log.open("a") as file:
        file.write("y" * LONG + "\npassword=hunter2\n")
    wait(store, server.name, "[masked]")
    status = Path(f"/proc/{shipper.pid}/status").read_text()
    most = int(status.split("VmHWM:")[1].split()[0]) / 1024
    end(shipper, server, store)
    return {"shipper_mb": round(most, 1)}


def delay(server: Server, store: Path) -> dict[str, float]:
    """From a program's write to a declared file until `--follow` has it, 99 of 100 times."""
    shipper = server.start()
    server.write(1)
    wait(store, server.name, "line 1 of")

    def write() -> None:
        for _ in range(TICKS):
            with server.log.open("a") as file:
                file.write(f"tick {time.time_ns()}\n")
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    seen: list[float] = []
    with closing(Archive(store)) as archive:
        arriving = archive.follow(Query(server=server.name, grep="/^tick /"), lambda: len(seen) >= TICKS)
        writer.start()
        for record in arriving:
            seen.append(time.time() - int(record.message.split()[1]) / 1e9)
            if len(seen) == TICKS:
                break
    writer.join()
    end(shipper, server, store)
    seen.sort()
    return {"follow_p50_s": round(seen[TICKS // 2], 3), "follow_p99_s": round(seen[TICKS * 99 // 100], 3)}


def gaps(store: Path, server: str) -> dict[str, float]:
    """Take lines, runs of lines and tails away from a server's, and have them found."""
    originals = [record.original for record in lines(store, server)]
    chance = random.Random(11)
    sample = [each for each in originals if b"_BLUESTONE_GOODBYE" in each] + originals[: len(originals) // 20]
    whole = account([counted(sample)])
    right = 0
    for trial in range(TRIALS):
        if trial % 4 == 0:  # a tail, goodbye and all
            kept = originals[: chance.randrange(1, len(sample))]
            right += not account([counted(kept)]).complete(ended=True)
            continue
        first = chance.randrange(1, len(sample) - 1)
        gone = chance.choice((1, 1, 2, 50))
        kept = sample[:first] + sample[first + gone :]
        found = account([counted(kept)])
        missing = sum(gap.count for gap in found.gaps) - sum(gap.count for gap in whole.gaps)
        right += missing == len(sample) - len(kept)
    return {"gaps_found_pct": round(100 * right / TRIALS, 2)}


def lines(store: Path, server: str) -> list:  # type: ignore[type-arg]
    """All of a server's lines."""
    with closing(Archive(store)) as archive:
        return list(archive.search(Query(server=server)))


def wait(store: Path, server: str, text: str) -> None:
    """Until a line with a text is there."""
    until = time.monotonic() + PATIENCE
    with closing(Archive(store)) as archive:
        while not list(archive.search(Query(server=server, grep=text, limit=1))):
            if time.monotonic() > until:
                raise TimeoutError(f"no line with {text!r} came")
            time.sleep(0.1)


def end(shipper: subprocess.Popen[bytes], server: Server, store: Path) -> None:
    """As at a server's end: the rest, then goodbye."""
    # What the script of a journal still holds is shipped within the shipper's five seconds, if it is little.
    until = time.monotonic() + PATIENCE
    with closing(Archive(store)) as archive:
        while sum(writer.lines for writer in archive.writers(server.name)) < server.count:
            if time.monotonic() > until:
                break
            time.sleep(0.1)
    shipper.send_signal(signal.SIGTERM)
    shipper.wait(30)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.logs.shipping", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="how often one side or the other is killed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bs-", dir="/var/tmp") as directory:
        print(json.dumps({"bench": "logs.shipping", "ratios": {}, "values": measure(Path(directory), chosen.kills)}))


if __name__ == "__main__":
    main()
