"""What a project signs is read by those who wrote the formats: in-toto's library and securesystemslib."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import MessageToDict, Parse, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from bluestone.image.lock.file import digest
from bluestone.image.provenance import statement
from bluestone.image.signing import PublicKey, public_of, seal
from bluestone.model.intoto import PAYLOAD_TYPE
from statement_examples import BILLS, BUILD, IMAGE, LOCK

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_of(KEY, "ours")
OTHER = public_of(Ed25519PrivateKey.generate(), "theirs")


def theirs(key: PublicKey) -> SSlibKey:
    """The key as they have it, from what `bluestone key` prints."""
    return SSlibKey.from_crypto(load_pem_public_key(key.pem.encode()), keyid=key.id)


def sealed() -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(seal(statement(IMAGE, BUILD, LOCK, BILLS), PAYLOAD_TYPE, KEY))
    return envelope


@given(st.binary(max_size=300))
def test_they_verify_every_envelope_by_the_key_that_is_printed(payload: bytes) -> None:
    envelope = Envelope.from_dict(json.loads(seal(payload, PAYLOAD_TYPE, KEY)))
    assert envelope.payload == payload
    assert envelope.verify([theirs(OTHER), theirs(PUBLIC)], 1).keys() == {PUBLIC.id}
    with pytest.raises(VerificationError):
        envelope.verify([theirs(OTHER)], 1)


@pytest.mark.parametrize("field", ["payload", "payload_type"])
def test_they_refuse_what_was_changed(field: str) -> None:
    envelope = Envelope.from_dict(sealed())
    setattr(envelope, field, getattr(envelope, field) * 2)
    with pytest.raises(VerificationError):
        envelope.verify([theirs(PUBLIC)], 1)


def test_the_statement_and_its_predicate_are_of_their_schema_with_nothing_that_they_do_not_know() -> None:
    """Parsed strictly: a field that their messages do not have would be an error."""
    said = Parse(Envelope.from_dict(sealed()).payload, statement_pb2.Statement())
    Statement.copy_from_pb(said).validate()
    assert dict(said.subject[0].digest) == {"sha256": IMAGE.removeprefix("sha256:")}
    assert said.predicate_type == "https://slsa.dev/provenance/v1"
    provenance = ParseDict(MessageToDict(said.predicate), Provenance())
    dependencies = {
        each.uri or each.name: each.digest["sha256"] for each in provenance.build_definition.resolved_dependencies
    }
    assert dependencies["bluestone.lock"] == digest(LOCK)
    assert {each.sha256 for each in LOCK.every} <= set(dependencies.values())
    assert provenance.run_details.metadata.started_on.ToDatetime() == BUILD.started.replace(tzinfo=None)
