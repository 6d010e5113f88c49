"""OpenVEX documents in envelopes: opened by a declared key, and by no other."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bluestone.model.intoto import PAYLOAD_TYPE
from bluestone.patch.feeds.reading import Damaged
from bluestone.patch.feeds.signed import is_key, opened

DOCUMENT = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": []}
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [],
    "predicateType": "https://openvex.dev/ns/v0.2.0",
    "predicate": DOCUMENT,
}
EDWARDS, CURVE = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def pem(key: Private | rsa.RSAPrivateKey) -> bytes:
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form)


def sealed(key: Private, statement: object = STATEMENT, kind: str = PAYLOAD_TYPE) -> bytes:
    payload = json.dumps(statement).encode()
    data = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = (
        key.sign(data) if isinstance(key, ed25519.Ed25519PrivateKey) else key.sign(data, ec.ECDSA(hashes.SHA256()))
    )
    signatures = [{"keyid": "anything", "sig": base64.b64encode(each).decode()} for each in (b"none", signature)]
    return json.dumps(
        {"payloadType": kind, "payload": base64.b64encode(payload).decode(), "signatures": signatures}, indent=1
    ).encode()


@pytest.mark.parametrize("key", [EDWARDS, CURVE], ids=["ed25519", "p256"])
def test_one_of_the_keys_must_have_signed(key: Private) -> None:
    document, how = opened(sealed(key), [pem(CURVE), pem(EDWARDS)])
    assert json.loads(document) == DOCUMENT
    assert how.startswith("signed, by the key ")
    with pytest.raises(Damaged, match="signed by no key"):
        opened(sealed(key), [pem(ed25519.Ed25519PrivateKey.generate())])


def test_one_changed_byte_is_noticed() -> None:
    envelope = json.loads(sealed(EDWARDS))
    payload = base64.b64decode(envelope["payload"]).replace(b"v0.2.0", b"v0.2.1", 1)
    envelope["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(Damaged, match="signed by no key"):
        opened(json.dumps(envelope).encode(), [pem(EDWARDS)])


def test_with_keys_nothing_unsigned_is_taken_and_without_nothing_signed() -> None:
    plain = json.dumps(DOCUMENT).encode()
    assert opened(plain, []) == (plain, "")
    with pytest.raises(Damaged, match="is not signed"):
        opened(plain, [pem(EDWARDS)])
    with pytest.raises(Damaged, match="names no key"):
        opened(sealed(EDWARDS), [])


def test_something_else_that_is_signed_says_nothing() -> None:
    with pytest.raises(Damaged, match="something else than an in-toto statement"):
        opened(sealed(EDWARDS, kind="text/plain"), [pem(EDWARDS)])
    with pytest.raises(Damaged, match="something else than OpenVEX"):
        opened(sealed(EDWARDS, {**STATEMENT, "predicateType": "https://spdx.dev/Document"}), [pem(EDWARDS)])
    with pytest.raises(Damaged, match="cannot be read"):
        opened(sealed(EDWARDS, []), [pem(EDWARDS)])


def test_what_is_no_key_of_these_kinds() -> None:
    assert is_key(pem(EDWARDS))
    assert not is_key(b"")
    assert not is_key(pem(rsa.generate_private_key(65537, 1024)))
