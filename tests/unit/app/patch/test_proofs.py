"""Proofs in files: who signed them, and that not a byte of them can be another."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bluestone.app.image.provenance import public_key, seal_by_project
from bluestone.app.patch.closing import DIRECTORY
from bluestone.app.patch.proofs import Refused, Vouched, find_proof, list_proofs, verify_proof
from bluestone.app.project import Project
from bluestone.image.signing import Unsigned, public_of, seal, unseal
from bluestone.model.intoto import PAYLOAD_TYPE
from bluestone.model.problem import Problem
from bluestone.patch.proof import Query, read, statement
from proof_examples import BEGAN, proof

KEY = Ed25519PrivateKey.generate()
SEALED = seal(statement(proof()), PAYLOAD_TYPE, KEY)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("BLUESTONE_HOME", str(tmp_path / "h"))
    (tmp_path / "bluestone.toml").write_text('project = "shop"\n[image]\nbase = "debian:trixie"\n')
    one = Project.open(tmp_path / "bluestone.toml")
    (one.state / DIRECTORY).mkdir(parents=True, mode=0o700)
    return one


def write(project: Project, name: str, content: bytes) -> Path:
    file = project.state / DIRECTORY / f"{name}.dsse.json"
    file.write_bytes(content)
    return file


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_one_changed_byte_fails(at: int, by: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= by
    with pytest.raises((Unsigned, ValueError)):
        read(unseal(bytes(changed), PAYLOAD_TYPE, [public_of(KEY, "k")])[0])


@given(st.integers(0, len(SEALED) - 1))
def test_one_that_was_cut_fails(length: int) -> None:
    with pytest.raises(Unsigned):
        unseal(SEALED[:length], PAYLOAD_TYPE, [public_of(KEY, "k")])


def test_a_project_lists_its_proofs_and_those_that_do_not_hold(project: Project) -> None:
    assert list_proofs(project) == []
    with pytest.raises(Problem, match="no proofs yet"):
        find_proof(project, None)
    good = write(project, "p1", seal_by_project(project, statement(proof())))
    write(project, "p2", SEALED)
    lie = msgspec.structs.replace(proof(), query=Query(BEGAN, 2, ("web-3",), ()))
    write(project, "p3", seal_by_project(project, statement(lie)))
    first, second, third = list_proofs(project)
    assert isinstance(first, Vouched)
    assert first.proof == proof()
    assert isinstance(second, Refused)
    assert "no key that is trusted" in second.why
    assert isinstance(third, Refused)
    assert "exposed still" in third.why
    assert find_proof(project, "p1") == good
    assert find_proof(project, None).name == "p3.dsse.json"
    with pytest.raises(Problem, match="no proof of a patch p9"):
        find_proof(project, "p9")


def test_a_proof_is_verified_by_a_file_and_a_key_alone(project: Project, tmp_path: Path) -> None:
    file = write(project, "p1", seal_by_project(project, statement(proof())))
    pem = tmp_path / "key.pem"
    pem.write_text(public_key(project).pem)
    nowhere = tmp_path / "nowhere.toml"
    assert verify_proof(nowhere, file, [pem]).proof == proof()
    assert verify_proof(project.file, file, ()).key.name == "the key of project shop"
    with pytest.raises(Problem, match="not known whose key"):
        verify_proof(nowhere, file, ())
    other = tmp_path / "other.pem"
    other.write_text(public_of(KEY, "").pem)
    with pytest.raises(Problem, match="proves nothing"):
        verify_proof(project.file, file, [other])
