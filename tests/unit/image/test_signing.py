"""Keys and envelopes: made once, refused when anything in them is not as it was written."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.signing import PublicKey, Unsigned, own_key, public_of, read_public, seal, unseal
from bluestone.model.problem import Problem

KIND = "application/vnd.in-toto+json"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_of(KEY, "ours")
OTHER = public_of(Ed25519PrivateKey.generate(), "theirs")


@given(st.binary(max_size=300))
def test_what_is_sealed_is_unsealed_by_its_key_alone(payload: bytes) -> None:
    sealed = seal(payload, KIND, KEY)
    assert unseal(sealed, KIND, [OTHER, PUBLIC]) == (payload, PUBLIC)
    assert seal(payload, KIND, KEY) == sealed
    for keys in ([], [OTHER]):
        with pytest.raises(Unsigned, match="no key that is trusted"):
            unseal(sealed, KIND, keys)
    with pytest.raises(Unsigned, match="something else"):
        unseal(sealed, "text/plain", [PUBLIC])


@given(st.data())
def test_no_byte_of_an_envelope_can_be_changed(data: st.DataObject) -> None:
    sealed = bytearray(seal(b'{"a": 1}', KIND, KEY))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != sealed[place]))
    with pytest.raises(Unsigned):
        unseal(bytes(sealed), KIND, [PUBLIC])


def test_the_signature_is_that_of_the_specification() -> None:
    """DSSE 1.0: over `DSSEv1`, and length and bytes of type and body."""
    envelope = json.loads(seal(b"hello world", "http://example.com/HelloWorld", KEY))
    assert sorted(envelope) == ["payload", "payloadType", "signatures"]
    assert base64.b64decode(envelope["payload"]) == b"hello world"
    signed = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    KEY.public_key().verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    assert envelope["signatures"][0]["keyid"] == PUBLIC.id


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(seal(b"x", KIND, KEY)) | fields, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{}",
        b"\xff",
        changed(more="rides along"),
        changed(signatures=[]),
        changed(signatures=json.loads(changed())["signatures"] * 2),
        changed(payload="eA"),
        changed(payload="eB=="),
        changed().replace(b'"payload"', b' "payload"'),
        changed().replace(b'{"payload"', b'{"payload":"eQ==","payload"'),
        changed() + b"\n",
        changed().replace(PUBLIC.id.encode(), OTHER.id.encode()),
    ],
)
def test_an_envelope_has_one_form(envelope: bytes) -> None:
    assert unseal(changed(), KIND, [PUBLIC])[0] == b"x"
    with pytest.raises(Unsigned):
        unseal(envelope, KIND, [PUBLIC])


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    made: list[bytes] = []
    threads = [Thread(target=lambda: made.append(public_of(own_key(path), "").raw)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["signing.key"]


def test_a_key_that_is_damaged_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.write_text("damaged")
    with pytest.raises(Problem, match="cannot be read"):
        own_key(path)
    assert path.read_text() == "damaged"
    form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    curve = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(curve.private_bytes(encoding, form, serialization.NoEncryption()))
    with pytest.raises(Problem, match="no Ed25519 key"):
        own_key(path)


def test_public_keys_are_read_and_private_ones_refused(tmp_path: Path) -> None:
    file, private = tmp_path / "ours.pem", tmp_path / "signing.key"
    own = public_of(own_key(private), "x")
    file.write_text(own.pem)
    assert read_public(file) == PublicKey(own.raw, str(file))
    assert read_public(file).id == own.id
    for wrong, what in ((private, "holds a private key"), (tmp_path / "none", "No such file")):
        with pytest.raises(Problem, match=what):
            read_public(wrong)
    file.write_text("no key")
    with pytest.raises(Problem, match="no public key"):
        read_public(file)
