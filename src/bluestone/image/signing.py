"""Keys that sign, and envelopes that they sign: DSSE 1.0 with Ed25519 (RFC 8032).

An envelope is read only if it is, byte for byte, what `seal` would write of its content: there is one form of it, and
nothing rides along that is not signed. Its payload is not parsed before its signature holds.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from bluestone.host.files import write_atomically
from bluestone.model.problem import Problem

LARGEST_KEY = 16 * 1024
"""Bytes of a file with a key."""

LARGEST_ENVELOPE = 64 * 1024 * 1024
"""Bytes. A statement on a thousand packages is a hundredth of it."""


class Unsigned(Exception):
    """An envelope that is damaged, or that none of the keys signed; the text says which."""


class PublicKey(Struct, frozen=True):
    """By which a signature is checked. `raw` is the key's 32 bytes; `name` what people call it."""

    raw: bytes
    name: str

    @property
    def id(self) -> str:
        """SHA-256 of the key in the form of X.509 (SubjectPublicKeyInfo, DER), in hexadecimal."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()

    @property
    def pem(self) -> str:
        """The key as text, as openssl and others read it."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.PEM, form).decode()


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


def own_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file, which is made with a new key, for its owner alone, if it is not there.

    Of two that make it at once, both get the same. Raises `Problem`.
    """
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
        with tempfile.TemporaryDirectory(prefix=".key-", dir=path.parent) as directory:
            draft = Path(directory) / path.name
            write_atomically(draft, key.private_bytes(encoding, form, serialization.NoEncryption()))
            # Unlike a rename, a link never takes the place of a key that another made meanwhile.
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
    try:
        loaded = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Problem(
            f"the key {path} cannot be read", mend="restore it from a backup; without it images are signed anew"
        ) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise Problem(f"{path} is no Ed25519 key", mend="restore it from a backup")
    return loaded


def public_of(key: Ed25519PrivateKey, name: str) -> PublicKey:
    """The public half of a key."""
    return PublicKey(key.public_key().public_bytes_raw(), name)


def read_public(path: Path) -> PublicKey:
    """The public key in a PEM file, called by the file's path. Raises `Problem`."""
    mend = "name a file with what `bluestone key` prints"
    content = _read(path)
    if b"PRIVATE KEY" in content:
        raise Problem(f"{path} holds a private key, which is for nobody but its owner", mend=mend)
    try:
        loaded = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Problem(f"{path} holds no public key in PEM", mend=mend) from error
    if not isinstance(loaded, Ed25519PublicKey):
        raise Problem(f"the key in {path} is no Ed25519 key", mend=mend)
    return PublicKey(loaded.public_bytes_raw(), str(path))


def seal(payload: bytes, payload_type: str, key: Ed25519PrivateKey) -> bytes:
    """An envelope, one line of JSON, around a payload that the key signs."""
    signature = key.sign(_encoding(payload_type, payload))
    text = base64.b64encode(signature).decode()
    signed = _Signature(public_of(key, "").id, text)
    return _written(_Envelope(base64.b64encode(payload).decode(), payload_type, [signed]))


def unseal(data: bytes, payload_type: str, keys: Iterable[PublicKey]) -> tuple[bytes, PublicKey]:
    """The payload of an envelope, and which of the keys signed it. Raises `Unsigned`."""
    if len(data) > LARGEST_ENVELOPE:
        raise Unsigned("the envelope is too large")
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(each.sig, validate=True) for each in envelope.signatures]
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise Unsigned("the envelope is damaged") from error
    if _written(envelope) != data or base64.b64encode(payload).decode() != envelope.payload:
        raise Unsigned("the envelope is not in the form that bluestone writes")
    if len(signatures) != 1:
        raise Unsigned("the envelope has not one signature")
    if envelope.payload_type != payload_type:
        raise Unsigned("the envelope holds something else")
    said, signed = envelope.signatures[0].keyid, _encoding(payload_type, payload)
    if base64.b64encode(signatures[0]).decode() != envelope.signatures[0].sig:
        raise Unsigned("the envelope is not in the form that bluestone writes")
    for key in keys:
        # The id is a hint that nobody signed (DSSE); who signed is told by the signature alone.
        with contextlib.suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key.raw).verify(signatures[0], signed)
            if said != key.id:
                raise Unsigned("the envelope names another key than the one that signed it")
            return payload, key
    raise Unsigned(f"no key that is trusted here signed it; it says {said[:16]!r} did")


def _encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _written(envelope: _Envelope) -> bytes:
    return msgspec.json.encode(envelope) + b"\n"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_KEY)
    except OSError as error:
        raise Problem(
            f"{path} cannot be read: {error.strerror}", mend="correct the path, or its permissions"
        ) from error
