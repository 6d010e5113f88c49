"""The receiver's authority and certificate, checked by OpenSSL as a server's shipper does."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from bluestone.logs.receive.certificates import AUTHORITY_LIFE, LIFE, RENEWAL, ensure_certificate
from bluestone.model.problem import Problem

GATEWAY = "10.0.2.2"
NOW = datetime.now(UTC)
FILES = ("authority.crt", "authority.key", "receiver.pem")


def certificate(directory: Path, name: str = "receiver.pem") -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / name).read_bytes())


def shake_hands(serving: Path, trusting: Path, name: str) -> str | None:
    """Have a client that trusts one authority connect to a server; return the version of TLS. Raises `ssl.SSLError`."""
    ours, theirs = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(serving / "receiver.pem")

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cafile=str(trusting / "authority.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python does by itself from 3.13 on
    try:
        with ours, client.wrap_socket(ours, server_hostname=name) as connection:
            return connection.version()
    finally:
        thread.join(20)


def test_a_server_that_was_handed_the_authority_trusts_the_receiver(tmp_path: Path) -> None:
    assert ensure_certificate(tmp_path, [GATEWAY, "logs.example"], NOW)
    for name in (GATEWAY, "127.0.0.1", "logs.example"):
        assert shake_hands(tmp_path, tmp_path, name) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, tmp_path, "10.0.2.3")


def test_another_projects_receiver_is_not_trusted(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    ensure_certificate(mine, [GATEWAY], NOW)
    ensure_certificate(other, [GATEWAY], NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(other, mine, GATEWAY)


def test_what_is_good_is_kept(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, [GATEWAY], NOW)
    before = [(tmp_path / name).read_bytes() for name in FILES]
    assert not ensure_certificate(tmp_path, [GATEWAY], NOW + LIFE - RENEWAL - timedelta(days=1))
    assert [(tmp_path / name).read_bytes() for name in FILES] == before


@pytest.mark.parametrize("why", ["age", "names", "gone"])
def test_a_new_certificate_is_of_the_same_authority(tmp_path: Path, why: str) -> None:
    ensure_certificate(tmp_path, [GATEWAY], NOW)
    authority, old = (tmp_path / "authority.crt").read_bytes(), certificate(tmp_path)
    if why == "gone":
        (tmp_path / "receiver.pem").unlink()
    names = [GATEWAY, "logs.example"] if why == "names" else [GATEWAY]
    later = NOW + (LIFE - RENEWAL if why == "age" else timedelta())
    assert ensure_certificate(tmp_path, names, later)
    assert certificate(tmp_path).serial_number != old.serial_number
    assert (tmp_path / "authority.crt").read_bytes() == authority
    assert not ensure_certificate(tmp_path, names, later)


def test_keys_are_for_the_owner_alone_and_live_long_enough(tmp_path: Path) -> None:
    ensure_certificate(tmp_path / "tls", [GATEWAY], NOW)
    assert {(tmp_path / "tls" / name).stat().st_mode & 0o777 for name in FILES} == {0o600}
    authority = certificate(tmp_path / "tls", "authority.crt")
    assert authority.not_valid_after_utc - NOW > AUTHORITY_LIFE - timedelta(minutes=1)
    assert certificate(tmp_path / "tls").not_valid_before_utc < NOW - timedelta(hours=23)


def test_the_receivers_certificate_signs_no_others(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, [GATEWAY], NOW)
    assert not certificate(tmp_path).extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    constraints = certificate(tmp_path, "authority.crt").extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


@pytest.mark.parametrize("name", FILES)
def test_a_spoilt_file_is_a_problem_and_is_not_replaced(tmp_path: Path, name: str) -> None:
    ensure_certificate(tmp_path, [GATEWAY], NOW)
    (tmp_path / name).write_text("spoilt")
    with pytest.raises(Problem, match="cannot be read") as raised:
        ensure_certificate(tmp_path, [GATEWAY], NOW)
    assert raised.value.mend
    assert (tmp_path / name).read_text() == "spoilt"


def test_an_authority_without_its_key_is_a_problem(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, [GATEWAY], NOW)
    (tmp_path / "authority.key").unlink()
    with pytest.raises(Problem, match=r"authority\.key"):
        ensure_certificate(tmp_path, [GATEWAY], NOW)
