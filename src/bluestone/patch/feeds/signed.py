"""OpenVEX documents that their makers signed: in-toto statements in DSSE envelopes (secure-systems-lab, v1.0).

The keys are those that a declaration names: Ed25519, or ECDSA on P-256 with SHA-256, as OpenVEX's and Sigstore's tools
make them. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bluestone.model.intoto import PAYLOAD_TYPE
from bluestone.patch.feeds.reading import Damaged

PREDICATE = "https://openvex.dev/ns"

MOST_SIGNATURES = 20


class _Signature(msgspec.Struct):
    sig: str
    keyid: str = ""


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


class _Statement(msgspec.Struct, rename="camel"):
    predicate_type: str
    predicate: dict[str, Any]


def opened(content: bytes, keys: Sequence[bytes]) -> tuple[bytes, str]:
    """The document, and how it was checked; `keys` are PEM. Raises `Damaged`.

    Where keys are named, what is not signed by one of them says nothing. A document that is signed says nothing where
    no key is named: whoever laid it there meant it to be checked.
    """
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if keys:
            raise Damaged("is not signed, and patch.feeds.vex_keys asks for that") from error
        return content, ""
    if not keys:
        raise Damaged("is signed, and patch.feeds.vex_keys names no key to check it by")
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(each.sig, validate=True) for each in envelope.signatures[:MOST_SIGNATURES]]
    except (binascii.Error, ValueError) as error:
        raise Damaged("has an envelope that is damaged") from error
    kind = envelope.payload_type.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signer = next((key for key in keys if any(_signed(key, each, signed) for each in signatures)), None)
    if signer is None:
        raise Damaged("was signed by no key of patch.feeds.vex_keys")
    return _document(envelope.payload_type, payload), f"signed, by the key {_fingerprint(signer)}"


def is_key(pem: bytes) -> bool:
    """Whether this is a public key of a kind that can be used here."""
    return _key(pem) is not None


def _document(kind: str, payload: bytes) -> bytes:
    if kind != PAYLOAD_TYPE:
        raise Damaged(f"holds something else than an in-toto statement, {kind[:60]!r}")
    try:
        statement = msgspec.json.decode(payload, type=_Statement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged("holds a statement that cannot be read") from error
    if not statement.predicate_type.startswith(PREDICATE):
        raise Damaged(f"states something else than OpenVEX, {statement.predicate_type[:60]!r}")
    return msgspec.json.encode(statement.predicate)


def _signed(pem: bytes, signature: bytes, data: bytes) -> bool:
    key = _key(pem)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif key is not None:
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return key is not None


def _key(pem: bytes) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | None:
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


def _fingerprint(pem: bytes) -> str:
    key = _key(pem)
    assert key is not None, "it has verified something"
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(*form)).hexdigest()[:16]
