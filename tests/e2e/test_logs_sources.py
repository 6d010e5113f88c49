"""Lines of others than servers: a real rsyslog by TLS, with the certificate that `logs allow` wrote."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from bluestone.app.project import Project
from bluestone.cli.sources import allow, forbid
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.service import Receiver, first_certificate
from bluestone.model.logs import LogListening
from bluestone.model.record import Record
from logs_setting import wait_for

pytestmark = pytest.mark.e2e

DRIVER = [*Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so"), *Path("/usr/lib64/rsyslog").glob("lmnsd_gtls.so")]
NO_RSYSLOG = not shutil.which("rsyslogd") or not DRIVER

RSYSLOG = """
module(load="imuxsock" SysSock.Use="off")
global(workDirectory="{here}" maxMessageSize="64k"
    defaultNetstreamDriverCAFile="{here}/ca.pem"
    defaultNetstreamDriverCertFile="{here}/own.pem" defaultNetstreamDriverKeyFile="{here}/own.key")
input(type="imuxsock" Socket="{here}/log" CreatePath="on" RateLimit.Interval="0" useSpecialParser="off")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
    StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"
    template="RSYSLOG_SyslogProtocol23Format"
    action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList")
"""


class World:
    """A project whose receiver takes lines of others."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "bluestone.toml"
        self.syslog, self.http = free_port(), free_port()
        self.file.write_text(
            'project = "shop"\n[image]\nbase = "debian:trixie"\n'
            f'[logs.listen]\nsyslog = "127.0.0.1:{self.syslog}"\nhttp = "127.0.0.1:{self.http}"\n'
        )
        project = Project.open(self.file)
        listen = project.declaration.listen
        assert listen == LogListening(f"127.0.0.1:{self.http}", f"127.0.0.1:{self.syslog}")
        self.store = project.logs
        self.receiver = Receiver(self.store, directory / "run", listen=listen)
        self.receiver.ensure()
        self.authority = directory / "ca.pem"
        self.authority.write_bytes(self.receiver.authority)

    def run(self, *command: str) -> str:
        verb = {"allow": allow, "forbid": forbid}[command[0]]
        done = CliRunner().invoke(verb, [*command[1:], "--file", str(self.file)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output.strip()

    def records(self) -> list[Record]:
        with closing(Archive(self.store)) as archive:
            return list(archive.search(Query()))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    directory = Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    monkeypatch.setenv("BLUESTONE_HOME", str(directory / "home"))
    world = World(directory)
    yield world
    world.receiver.stop()
    shutil.rmtree(directory)


@pytest.mark.skipif(NO_RSYSLOG, reason="machine: rsyslog with its driver for TLS (rsyslog-gnutls) is not installed")
def test_rsyslog_sends_by_tls_and_its_lines_are_the_sources_own(world: World) -> None:
    here = world.directory
    world.run("allow", "router-1", "--certificate", str(here / "own.pem"))
    pem = (here / "own.pem").read_text()
    (here / "own.key").write_text(pem.removeprefix(first_certificate(pem)))
    (here / "rsyslog.conf").write_text(RSYSLOG.format(here=here, port=world.syslog))
    process = subprocess.Popen(
        ["rsyslogd", "-n", "-f", str(here / "rsyslog.conf"), "-i", str(here / "rsyslog.pid")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for((here / "log").exists)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect(str(here / "log"))
            for number in range(500):
                log.send(f"<11>Nov 30 12:00:00 app[7]: line {number}".encode())
        wait_for(lambda: len([each for each in world.records() if each.message.startswith("line ")]) == 500)
    finally:
        process.terminate()
        process.wait(20)
    mine = [each for each in world.records() if each.message.startswith("line ")]
    assert sorted(each.message for each in mine) == sorted(f"line {number}" for number in range(500))
    assert {(each.identity.server, each.identity.group, each.unit, each.severity) for each in mine} == {
        ("router-1", "sources", "app", 3)
    }
    assert {json.loads(each.original)["SYSLOG_PID"] for each in mine} == {"7"}


def send(world: World, certificate: str | None, message: bytes) -> None:
    context = ssl.create_default_context(cafile=str(world.authority))
    if certificate:
        context.load_cert_chain(certificate)
    plain = socket.create_connection(("127.0.0.1", world.syslog), timeout=20)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(message)
        connection.unwrap() if certificate else connection.recv(1)


def test_who_has_no_certificate_any_more_sends_nothing(world: World) -> None:
    own = str(world.directory / "own.pem")
    world.run("allow", "router-1", "--certificate", own)
    send(world, own, b"<14>1 - - app - - - before\n")
    wait_for(lambda: [each.message for each in world.records()] == ["before"])
    world.run("forbid", "router-1")
    for certificate in (own, None):
        try:
            send(world, certificate, b"<14>1 - - app - - - after\n")
        except OSError:
            continue
    world.run("allow", "router-2", "--certificate", f"{own}2")
    send(world, f"{own}2", b"<14>1 - - app - - - other\n")
    wait_for(lambda: len(world.records()) == 2)
    assert [each.message for each in world.records()] == ["before", "other"]


def test_opentelemetry_by_https_with_a_token(world: World) -> None:
    token, _, _ = world.run("allow", "collector").partition("\n")  # then it says whom senders must trust
    record = {"timeUnixNano": "1790000000000000000", "body": {"stringValue": "sold"}, "severityNumber": 9}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    request = urllib.request.Request(
        f"https://127.0.0.1:{world.http}/v1/logs",
        body,
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(world.authority))) as answer:
        assert answer.read() == b'{"partialSuccess":{}}'
    (stored,) = world.records()
    assert (stored.identity.server, stored.message) == ("collector", "sold")


def test_where_it_listens_follows_the_declaration(world: World) -> None:
    other = Receiver(world.store, world.directory / "run")
    other.ensure()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", world.syslog), timeout=20)
    world.receiver.ensure()
    socket.create_connection(("127.0.0.1", world.syslog), timeout=20).close()
