"""The project's own certificate authority: by it servers elsewhere know its receiver, and it knows them.

DIRECTORY/authority.crt   what servers are handed: they trust it and nothing else
DIRECTORY/authority.key   made on first use; whoever has it can pass for the receiver
DIRECTORY/receiver.pem    the receiver's certificate and key, made anew in good time before it ends
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem

AUTHORITY_LIFE = timedelta(days=20 * 365)
"""Longer than any server lives: a server keeps the authority that it was created with."""

LIFE, RENEWAL = timedelta(days=365), timedelta(days=60)
"""How long the receiver's certificate lasts, and what is left of that when it is made anew."""

SENDER_LIFE = timedelta(days=5 * 365)
"""Longer than a server should live; it ends before, when the server does and its certificate is revoked."""

SKEW = timedelta(days=1)
"""By how much a server's clock may be behind ours."""


def ensure_certificate(directory: Path, names: Iterable[str], now: datetime) -> bool:
    """Have a certificate for the receiver, which is reached under these host names or addresses and 127.0.0.1.

    Returns whether it was made just now. Raises `Problem`.
    """
    private_directory(directory)
    wanted = {*names, "127.0.0.1"}
    try:
        key, authority = _authority(directory, now)
        present = _names(directory / "receiver.pem", authority, now)
        if wanted <= present:
            return False
        # Those that it has stay: another command may have asked for them, on behalf of other servers.
        write_atomically(directory / "receiver.pem", _issue(key, authority, sorted(wanted | present), now))
    except ValueError as error:
        raise _unreadable(directory, error) from error
    return True


def issue_sender(directory: Path, name: str, now: datetime) -> tuple[bytes, bytes]:
    """A certificate for who sends lines under a name: as a PEM file with its key, and as DER.

    It says who that is to people only: what counts is that `Credentials` knows it. Raises `Problem`.
    """
    private_directory(directory)
    try:
        authority_key, authority = _authority(directory, now)
    except ValueError as error:
        raise _unreadable(directory, error) from error
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(name[:64]), authority.subject, key.public_key(), now, SENDER_LIFE)
    certificate = _sign(builder, authority_key, ExtendedKeyUsageOID.CLIENT_AUTH)
    return certificate.public_bytes(serialization.Encoding.PEM) + _pem(key), certificate.public_bytes(
        serialization.Encoding.DER
    )


def _unreadable(directory: Path, error: ValueError) -> Problem:
    return Problem(
        f"a key or certificate in {directory} cannot be read: {error}",
        mend="restore the directory, or remove it and replace all servers that ship their lines by TLS",
    )


def _authority(directory: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The authority's key and certificate, the certificate written last."""
    key_file, certificate_file = directory / "authority.key", directory / "authority.crt"
    if not certificate_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_atomically(key_file, _pem(key))
        write_atomically(certificate_file, _sign_authority(key, now).public_bytes(serialization.Encoding.PEM))
    try:
        key_bytes, certificate = key_file.read_bytes(), certificate_file.read_bytes()
    except OSError as error:
        raise Problem(f"cannot read {error.filename}: {error.strerror}", mend="restore it from a backup") from error
    loaded = serialization.load_pem_private_key(key_bytes, None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_file.name} is no key on an elliptic curve")
    return loaded, x509.load_pem_x509_certificate(certificate)


def _names(path: Path, authority: x509.Certificate, now: datetime) -> set[str]:
    """The names of the receiver's certificate, if that is this authority's and lasts for some time yet; or none."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return set()
    if certificate.issuer != authority.subject or certificate.not_valid_after_utc - now <= RENEWAL:
        return set()
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(alternative.value) for alternative in alternatives}


def _sign_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    serial = x509.random_serial_number()
    # The serial number in the name tells two authorities of two machines apart.
    name = _name(f"bluestone log authority {serial:x}"[:64])
    builder = _builder(name, name, key.public_key(), now, AUTHORITY_LIFE).serial_number(serial)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _issue(
    authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, names: Iterable[str], now: datetime
) -> bytes:
    """A certificate for the receiver with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name("bluestone log receiver"), authority.subject, key.public_key(), now, LIFE)
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
    builder = builder.add_extension(alternatives, critical=False)
    certificate = _sign(builder, authority_key, ExtendedKeyUsageOID.SERVER_AUTH)
    return certificate.public_bytes(serialization.Encoding.PEM) + _pem(key)


def _sign(
    builder: x509.CertificateBuilder, authority_key: ec.EllipticCurvePrivateKey, purpose: x509.ObjectIdentifier
) -> x509.Certificate:
    """A certificate of the authority's for one purpose."""
    return (
        builder.serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .not_valid_before(now.astimezone(UTC) - SKEW)
        .not_valid_after(now.astimezone(UTC) + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
