"""The receiver as virtual machines see it: by TLS, at a port that stays, and with their consoles."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive import service
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.listening import Listening, listen_tcp, servers
from bluestone.logs.receive.receiver import application
from bluestone.logs.receive.service import Machines, Receiver, choose_port
from bluestone.logs.ship import agent
from bluestone.logs.ship.shipper.connection import Receiver as Sender
from bluestone.model.problem import Problem
from bluestone.model.record import Identity, Record

SERVER = "vm-0-1f3a9c0d-7"
LINE = b'{"__CURSOR":"s=1;i=1","__REALTIME_TIMESTAMP":"1790000000000000","MESSAGE":"hello"}\n'


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, for there are sockets below."""
    directory = Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def receiver(place: Path) -> Iterator[Receiver]:
    """A receiver that runs, as a process of its own."""
    one = Receiver(place / "store", place / "run", Machines("10.0.2.2", place / "consoles"))
    one.ensure()
    yield one
    one.stop()


@pytest.fixture
def token(place: Path) -> str:
    credentials = Credentials(place / "store")
    token = credentials.mint(Identity("shop", SERVER, "vm", 3, "sha256:ab"))
    credentials.close()
    return token


def found(place: Path) -> list[Record]:
    archive = Archive(place / "store")
    records = list(archive.search(Query()))
    archive.close()
    return records


def from_here(receiver: Receiver) -> str:
    """The address as this machine reaches it."""
    return receiver.address.replace("10.0.2.2", "127.0.0.1")


def test_a_shipper_that_was_handed_the_authority_delivers(receiver: Receiver, token: str, place: Path) -> None:
    authority = place / "ca"
    authority.write_bytes(receiver.authority)
    sender = Sender(from_here(receiver), token, str(authority))
    try:
        assert [sender.post(sender.pack(LINE), 20), sender.post(sender.pack(LINE), 20)] == [200, 200]
    finally:
        sender.close()
    (record,) = found(place)
    assert (record.identity.server, record.message) == (SERVER, "hello")


def test_a_shipper_that_trusts_others_sends_nothing(receiver: Receiver, token: str, place: Path) -> None:
    sender = Sender(from_here(receiver), token)
    with pytest.raises(ssl.SSLCertVerificationError):
        sender.post(sender.pack(LINE), 20)
    assert found(place) == []


def test_old_versions_of_tls_are_refused(receiver: Receiver) -> None:
    port = int(receiver.address.rpartition(":")[2])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)


def test_what_a_console_shows_is_stored(receiver: Receiver, token: str, place: Path) -> None:
    console = place / "consoles" / SERVER
    console.parent.mkdir()
    console.write_bytes(b"BdsDxe: starting\r\n")
    until = time.monotonic() + 60
    while not found(place):
        assert time.monotonic() < until
        time.sleep(0.05)
    console.rename(console.with_name(f"{SERVER}.ended"))
    receiver.stop()
    assert [(record.unit, record.message) for record in found(place)] == [("console", "BdsDxe: starting")]
    assert list(console.parent.iterdir()) == []


def test_its_address_stays_when_it_is_started_again(receiver: Receiver, place: Path) -> None:
    address, authority = receiver.address, receiver.authority
    receiver.stop()
    receiver.ensure()
    assert (receiver.address, receiver.authority) == (address, authority)


def test_it_is_started_again_for_machines_and_for_a_new_certificate(
    receiver: Receiver, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []
    start = Receiver._start

    def counted(self: Receiver) -> None:
        starts.append(1)
        start(self)

    monkeypatch.setattr(Receiver, "_start", counted)
    receiver.ensure()
    Receiver(place / "store", place / "run").ensure()
    assert starts == []  # it serves machines as well: who asks for none is content
    (place / "store" / "tls" / service.RECEIVER).unlink()
    receiver.ensure()
    assert starts == [1]
    receiver.stop()
    Receiver(place / "store", place / "run").ensure()
    receiver.ensure()
    assert starts == [1, 1, 1]


def test_only_who_has_machines_is_told_an_address(receiver: Receiver, place: Path) -> None:
    (place / "store" / "tls" / service.AUTHORITY).unlink()
    with pytest.raises(Problem, match=r"authority\.crt"):
        _ = receiver.authority


def test_servers_are_handed_where_to_ship_and_whom_to_trust() -> None:
    assert agent.bootfiles("https://10.0.2.2:18000", "t", b"PEM") == {
        "logs/endpoint": b"https://10.0.2.2:18000\n",
        "logs/token": b"t\n",
        "logs/ca": b"PEM",
        "logs/certificate": b"",
        "logs/rules": b"",
    }
    assert agent.bootfiles("unix:/run/x", "t")["logs/ca"] == b""


def test_a_port_that_is_taken_is_passed_over() -> None:
    own = choose_port("seed")
    with socket.create_server(("127.0.0.1", own)):
        other = choose_port("seed")
    assert other != own
    assert all(service.FIRST_PORT <= port < service.FIRST_PORT + service.PORTS for port in (own, other))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "host:1", "127.0.0.1:99999", ":1"])
def test_an_address_that_is_none_is_a_problem(address: str) -> None:
    with pytest.raises(Problem, match="cannot listen on"):
        listen_tcp(address)


def test_a_port_in_use_is_a_problem() -> None:
    with (
        listen_tcp("127.0.0.1:0") as first,
        pytest.raises(Problem, match=r"cannot listen on .*: Address already in use"),
    ):
        listen_tcp(f"127.0.0.1:{first.getsockname()[1]}")


def test_without_a_good_certificate_nothing_is_served(place: Path) -> None:
    (place / "bad.pem").write_text("spoilt")
    for name in ("bad.pem", "missing.pem"):
        made = servers(
            application(place / "store"), Listening(place / "s", tls=("127.0.0.1:0",), certificate=place / name)
        )
        next(made)[1][0].close()
        with pytest.raises(Problem, match="cannot serve with the certificate"):
            next(made)
