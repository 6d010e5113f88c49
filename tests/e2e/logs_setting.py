"""What the tests of the log path share: a real receiver, a real shipper, and a journal in a file."""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.logs.journalctl import JOURNALCTL
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.service import Receiver
from bluestone.logs.ship.agent import bootfiles
from bluestone.model.record import Identity


def wait_for(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """Look until it is true; fail after `patience` seconds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def identity(server: str) -> Identity:
    return Identity("shop", server, "web", 1, "sha256:" + "ab" * 32)


class FileJournal:
    """A server's journal: lines in a file, and a `journalctl` that reads it."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir(parents=True)
        self.path = directory / "journal"
        self.path.touch()
        program = self.bin / "journalctl"
        program.write_text(f"#!{sys.executable} -I\nJOURNAL = {str(self.path)!r}\n{JOURNALCTL}")
        program.chmod(0o755)
        self.count = 0

    def write(self, count: int) -> None:
        with self.path.open("a") as file:
            for number in range(self.count, self.count + count):
                fields = {
                    "__CURSOR": f"s=1;i={number + 1:x}",
                    "__REALTIME_TIMESTAMP": str(1_795_468_638_000_000 + number),
                    "_SYSTEMD_UNIT": "app.service",
                    "MESSAGE": f"line {number}",
                }
                file.write(json.dumps(fields) + "\n")
        self.count += count

    def write_steadily(self, count: int, per_second: int) -> threading.Thread:
        def work() -> None:
            for _ in range(0, count, 100):
                self.write(100)
                time.sleep(100 / per_second)

        thread = threading.Thread(target=work)
        thread.start()
        return thread


class Setting:
    """One store with its receiver, and one server that ships to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "store"
        self.receiver = Receiver(self.store, directory / "run")
        self.journal = FileJournal(directory / "server")
        self.archive = Archive(self.store)
        self._processes: list[subprocess.Popen[bytes]] = []
        credentials = Credentials(self.store)
        token = credentials.mint(identity("web-1"))
        credentials.close()
        for name, content in bootfiles(f"unix:{self.receiver.socket}", token).items():
            (directory / "server" / Path(name).name).write_bytes(content)

    def start_shipper(self) -> subprocess.Popen[bytes]:
        """The shipper as its unit runs it, but with our journalctl."""
        here = self.directory / "server"
        environment = {
            "PATH": f"{self.journal.bin}:{os.environ['PATH']}",
            "CREDENTIALS_DIRECTORY": str(here),
            "RUNTIME_DIRECTORY": str(here),
        }
        with (here / "said").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "bluestone.logs.ship.shipper"], env=environment, stderr=said
            )
        self._processes.append(process)
        return process

    def stored(self) -> int:
        return sum(writer.lines for writer in self.archive.writers("web-1"))

    def assert_each_line_once(self) -> None:
        """Compare what can be read, line by line, with what was written."""
        shown = Counter(record.message for record in self.archive.search(Query(server="web-1")))
        goodbyes = [message for message in shown if message.startswith("goodbye")]
        for message in goodbyes:
            del shown[message]
        assert shown == Counter(f"line {number}" for number in range(self.journal.count))

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self.receiver.stop()
        self.archive.close()


@contextmanager
def tls_proxy(certificate: Path, key: Path, target: Path) -> Iterator[int]:
    """Ends TLS on a loopback port (which it yields) and passes what comes on to a unix socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(str(target))
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


def chances(seed: int, count: int, least: float, most: float) -> list[float]:
    """Waits before faults, in seconds; the same for the same seed."""
    source = random.Random(seed)
    return [source.uniform(least, most) for _ in range(count)]
