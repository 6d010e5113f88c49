"""Servers elsewhere, and their certificates, before a real receiver by real TLS."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.certificates import SENDER_LIFE, issue_sender
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.service import Machines, Receiver
from bluestone.logs.ship.shipper.connection import Receiver as Sender
from bluestone.model.record import Identity

LINE = b'{"__CURSOR":"s=1;i=1","MESSAGE":"hello","_BLUESTONE_SERVER":"vm-9"}\n'


def identity(name: str) -> Identity:
    return Identity("shop", name, "vm", 3, "sha256:ab")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short path, for there are sockets below."""
    directory = Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def receiver(place: Path) -> Iterator[Receiver]:
    one = Receiver(place / "store", place / "run", Machines("10.0.2.2", place / "consoles"))
    one.ensure()
    yield one
    one.stop()


def post(receiver: Receiver, place: Path, certificate: bytes, token: str = "") -> int:
    """Send a line as a server does that was handed these."""
    (place / "ca").write_bytes(receiver.authority)
    (place / "own").write_bytes(certificate)
    here = receiver.address.replace("10.0.2.2", "127.0.0.1")
    sender = Sender(here, token, str(place / "ca"), str(place / "own") if certificate else None)
    try:
        return sender.post(sender.pack(LINE), 30)
    finally:
        sender.close()


def writers(place: Path) -> list[str]:
    with closing(Archive(place / "store")) as archive:
        return sorted({record.identity.server for record in archive.search(Query())})


def test_a_server_writes_under_its_own_name_and_no_longer_than_it_lives(receiver: Receiver, place: Path) -> None:
    mine, other = receiver.certificate_for(identity("vm-1")), receiver.certificate_for(identity("vm-2"))
    assert (post(receiver, place, mine), post(receiver, place, other)) == (200, 200)
    assert writers(place) == ["vm-1", "vm-2"]
    with closing(Credentials(place / "store")) as credentials:
        credentials.revoke("vm-1")
    assert (post(receiver, place, mine), post(receiver, place, other)) == (401, 200)


def test_without_certificate_or_token_nothing_is_taken(receiver: Receiver, place: Path) -> None:
    assert post(receiver, place, b"") == 401


def test_a_certificate_that_is_not_known_is_refused_though_its_authority_is(receiver: Receiver, place: Path) -> None:
    made, _ = issue_sender(place / "store" / "tls", "vm-7", datetime.now(UTC))
    assert post(receiver, place, made, token=receiver.token_for(identity("vm-7"))) == 401


@pytest.mark.parametrize("fault", ["foreign", "expired"])
def test_a_certificate_of_somebody_else_or_of_another_time_ends_the_handshake(
    receiver: Receiver, place: Path, fault: str
) -> None:
    tls, then = place / "store" / "tls", datetime.now(UTC)
    if fault == "foreign":
        tls = place / "foreign"
    else:
        then -= SENDER_LIFE + timedelta(days=1)
    made, der = issue_sender(tls, f"vm-{fault}", then)
    with closing(Credentials(place / "store")) as credentials:
        credentials.enrol(identity(f"vm-{fault}"), der)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        post(receiver, place, made)
    assert f"vm-{fault}" not in writers(place)


def test_the_certificate_of_a_receiver_lets_nobody_in(receiver: Receiver, place: Path) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        post(receiver, place, (place / "store" / "tls" / "receiver.pem").read_bytes())
