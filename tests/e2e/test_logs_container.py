"""The shipper in real servers: systemd and journald in podman containers of a small Debian."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.service import Receiver
from bluestone.logs.ship.agent import agent, bootfiles
from bluestone.model.record import Record
from logs_setting import identity, wait_for

NEEDED = ("podman", "mmdebstrap")
MISSING = [tool for tool in NEEDED if not shutil.which(tool)]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.getuid() != 0, reason="makes a root file system and mounts it: needs root"),
]

CHATTY = """
[Unit]
Description=A service that has much to say at its end
[Service]
ExecStart=/usr/lib/chatty
[Install]
WantedBy=multi-user.target
"""

CHATTY_PROGRAM = """#!/bin/sh
at_the_end() { for i in $(seq 2000); do echo last $i; done; exit 0; }
trap at_the_end TERM
echo ready
while :; do sleep 0.1; done
"""


def output(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A small Debian with the log agent in it, from the archive that this machine's apt uses."""
    directory = Path(tempfile.mkdtemp(prefix="bluestone-logs-"))
    root = directory / "root"
    additions = agent()
    packages = ",".join(("systemd", "systemd-sysv", *additions.packages))
    archive = output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()[0]
    try:
        output(
            "mmdebstrap",
            "--variant=minbase",
            "--quiet",
            f"--include={packages}",
            "trixie",
            str(root),
            archive,
        )
        for file in additions.files:
            target = root / file.target.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.content or "")
            target.chmod(file.mode or 0o644)
        (root / "etc/systemd/system/chatty.service").write_text(CHATTY)
        (root / "usr/lib/chatty").write_text(CHATTY_PROGRAM)
        (root / "usr/lib/chatty").chmod(0o755)
        for command in (*additions.run, "systemctl enable chatty.service " + " ".join(additions.units)):
            output("chroot", str(root), "sh", "-c", command)
        (root / "etc/machine-id").write_text("")
        yield root
    finally:
        shutil.rmtree(directory)


class Server:
    """A podman system container with the endpoint and token of one server."""

    def __init__(self, root: Path, directory: Path, receiver: Receiver, store: Path, name: str) -> None:
        self.name = name
        self.container = f"bluestone-test-{os.getpid()}-{name}"
        credentials = Credentials(store)
        token = credentials.mint(identity(name))
        credentials.close()
        boot = directory / name
        for path, content in bootfiles("unix:/run/bluestone-log/ingest.sock", token).items():
            (boot / path).parent.mkdir(parents=True, exist_ok=True)
            (boot / path).write_bytes(content)
            (boot / path).chmod(0o600)
        boot.chmod(0o700)
        self._command = ["podman", "run", "--detach", "--name", self.container, *self._runtime()]
        self._command += ["--systemd=always", "--read-only", "--tmpfs", "/var/log", "--network", "none"]
        self._command += ["--stop-signal", "SIGRTMIN+3", "--volume", f"{boot}:/run/bluestone:ro"]
        self._command += ["--volume", f"{receiver.socket.parent}:/run/bluestone-log:ro"]
        self._command += ["--rootfs", f"{root}:O", "/sbin/init"]

    @staticmethod
    def _runtime() -> list[str]:
        """Where crun cannot raise limits (see the podman provider), runc with fixed ones can."""
        limits = ["--ulimit", "nofile=10000:20000", "--ulimit", "nproc=1000:2000"]
        return ["--runtime", "runc", *limits] if shutil.which("runc") else []

    def start(self) -> None:
        output(*self._command)

    def run(self, *command: str, stdin: str = "") -> str:
        return output("podman", "exec", "--interactive", self.container, *command, stdin=stdin)

    def stop(self) -> None:
        output("podman", "stop", "--time", "20", self.container)

    def remove(self) -> None:
        output("podman", "rm", "--force", "--time", "0", "--ignore", self.container)


class House:
    """A store with its receiver, and what can be read."""

    def __init__(self, root: Path, directory: Path) -> None:
        self.root, self.directory = root, directory
        self.store = directory / "store"
        self.receiver = Receiver(self.store, directory / "run")
        self.archive = Archive(self.store)
        self.servers: list[Server] = []

    def server(self, name: str) -> Server:
        server = Server(self.root, self.directory, self.receiver, self.store, name)
        self.servers.append(server)
        server.start()
        return server

    def records(self, server: Server, unit: str | None = None) -> list[Record]:
        found = self.archive.search(Query(server=server.name))
        return [record for record in found if unit is None or record.unit == unit]

    def messages(self, server: Server, unit: str | None = None) -> list[str]:
        return [record.message for record in self.records(server, unit)]


@pytest.fixture
def house(root: Path) -> Iterator[House]:
    directory = Path(tempfile.mkdtemp(prefix="bluestone-logs-"))
    house = House(root, directory)
    house.receiver.ensure()
    yield house
    for server in house.servers:
        server.remove()
    house.receiver.stop()
    house.archive.close()
    shutil.rmtree(directory)


def test_a_stopped_servers_last_lines_and_goodbye_are_there(house: House) -> None:
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    server.stop()
    messages = house.messages(server, "chatty.service")
    last = [message for message in messages if message.startswith("last ")]
    assert last == [f"last {n + 1}" for n in range(2000)]
    assert house.archive.said_goodbye("web-1")
    server.remove()
    (newest,) = house.archive.last_lines("web-1", 1)
    assert newest.message.startswith("goodbye after ")
    assert newest.identity == identity("web-1")


def test_the_journal_and_the_store_hold_the_same_lines_in_the_same_order(house: House) -> None:
    """Truth is the journal itself, read by another program, before the server ends."""
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    server.run("sh", "-c", "for i in $(seq 300); do echo shell $i; done | systemd-cat -t app")
    server.run("journalctl", "--sync")
    truth = server.run("journalctl", "--output=json", "--all", "--identifier=app").splitlines()
    cursors = [json.loads(line)["__CURSOR"] for line in truth]
    assert len(cursors) == 300
    wait_for(lambda: len([r for r in house.records(server) if r.message.startswith("shell ")]) == 300)
    stored = [record for record in house.records(server) if record.message.startswith("shell ")]
    assert [record.cursor for record in stored] == cursors
    assert {json.loads(record.original)["SYSLOG_IDENTIFIER"] for record in stored} == {"app"}


def test_lines_that_are_long_binary_or_many_lines_survive(house: House) -> None:
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    long = "long " + "x" * 40_000
    server.run("systemd-cat", stdin=long + "\n")
    server.run("sh", "-c", "printf 'binary \\377\\376 end\\n' | systemd-cat")
    server.run(
        "python3",
        "-c",
        "import socket, struct\n"
        "text = b'first line\\nsecond \\xff line'\n"
        "size = struct.pack('<Q', len(text))\n"
        "data = b'PRIORITY=2\\nMESSAGE\\n' + size + text + b'\\n_BLUESTONE_GOODBYE=1\\n'\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.sendto(data, '/run/systemd/journal/socket')\n",
    )
    text = "first line\nsecond � line"
    wait_for(lambda: {long, "binary �� end", text} <= set(house.messages(server)))
    (native,) = [record for record in house.records(server) if record.message == text]
    assert native.severity == 2
    assert bytes(json.loads(native.original)["MESSAGE"]) == b"first line\nsecond \xff line"
    assert not house.archive.said_goodbye("web-1"), "a program forged a goodbye"


def test_a_message_of_megabytes_arrives_whole_in_parts(house: House) -> None:
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    server.run(
        "python3",
        "-c",
        "import socket, struct, os\n"
        "text = b'0123456789' * 300_000\n"
        "fd = os.open('/dev/shm/m', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)\n"
        "os.unlink('/dev/shm/m')\n"
        "for piece in (b'MESSAGE\\n' + struct.pack('<Q', len(text)), text, b'\\n'): os.write(fd, piece)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect('/run/systemd/journal/socket')\n"
        "socket.send_fds(s, [b''], [fd])\n",
    )
    server.run("systemd-cat", "echo", "after it")
    wait_for(lambda: "after it" in house.messages(server))
    parts = [record.message for record in house.records(server) if "_BLUESTONE_PART" in record.original.decode()]
    whole = json.loads("".join(parts))
    assert whole["MESSAGE"] == "0123456789" * 300_000
    server.stop()
    assert house.archive.said_goodbye("web-1")


def test_kill_9_of_the_shipper_inside_its_server_loses_and_repeats_nothing(house: House) -> None:
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    for round_number in range(3):
        server.run("sh", "-c", f"for i in $(seq 500); do echo {round_number}.$i; done | systemd-cat -t app")
        server.run("systemctl", "kill", "--signal=KILL", "bluestone-shipper.service")
        server.run("sh", "-c", f"for i in $(seq 501 1000); do echo {round_number}.$i; done | systemd-cat -t app")
        wait_for(lambda: server.run("systemctl", "show", "-P", "SubState", "bluestone-shipper").strip() == "running")
    server.stop()
    mine = [r.message for r in house.records(server) if json.loads(r.original).get("SYSLOG_IDENTIFIER") == "app"]
    assert mine == [f"{n}.{i + 1}" for n in range(3) for i in range(1000)]
    assert house.archive.said_goodbye("web-1")


def test_a_receiver_that_comes_late_gets_the_server_from_its_first_line(house: House) -> None:
    house.receiver.stop()
    server = house.server("web-1")
    wait_for(lambda: "ready" in server.run("journalctl", "--output=cat"))
    house.receiver.ensure()
    wait_for(lambda: "ready" in house.messages(server))
    assert "Journal started" in house.messages(server)[0]


def test_the_shipper_has_no_rights_and_its_token_is_nowhere_to_be_seen(house: House) -> None:
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    pid = server.run("systemctl", "show", "-P", "MainPID", "bluestone-shipper").strip()
    status = server.run("cat", f"/proc/{pid}/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert status.split("Uid:\t")[1].split()[0] != "0"
    token = (house.directory / "web-1/logs/token").read_text().strip()
    seen = server.run("cat", f"/proc/{pid}/cmdline") + "".join(house.messages(server))
    assert token not in seen + output("podman", "inspect", server.container)
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", "cat", "/run/bluestone/logs/token"]
    refused = subprocess.run(["podman", "exec", server.container, *as_nobody], capture_output=True, check=False)
    assert refused.returncode != 0


def test_a_line_is_visible_soon_after_it_was_written(house: House) -> None:
    """No time is asserted: the figures are printed for whoever measures (pytest -s)."""
    server = house.server("web-1")
    wait_for(lambda: "ready" in house.messages(server))
    script = "for i in $(seq 100); do echo tick $(date +%s%N); sleep 0.05; done"
    writer = subprocess.Popen(["podman", "exec", server.container, "sh", "-c", f"({script}) | systemd-cat"])
    ticks = house.archive.follow(Query(server="web-1", grep="/^tick /"))
    delays = sorted(-int(next(ticks).message.split()[1]) / 1e9 + time.time() for _ in range(100))
    writer.wait(60)
    assert delays[0] > 0
    print(f"written -> visible: p50 {delays[50]:.3f} s, p99 {delays[99]:.3f} s")
