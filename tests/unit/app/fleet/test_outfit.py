from pathlib import Path

import pytest

from bluestone.app.fleet.outfit import MAX_SECRET, bootfiles, environment_file, read_secret, secrets_digest
from bluestone.model.group import SecretRef
from bluestone.model.problem import Problem

KEY = b"k" * 32


def test_values_are_quoted_for_environment_d() -> None:
    text = environment_file({"B": 'say "hi" for $5 \\ `x`', "A": "plain"})
    assert text.decode() == 'A="plain"\nB="say \\"hi\\" for \\$5 \\\\ \\`x\\`"\n'


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"\x00binary")
    assert read_secret(SecretRef("A", "env", "VAR"), {"VAR": "value"}) == b"value"
    assert read_secret(SecretRef("B", "file", str(tmp_path / "s"))) == b"\x00binary"


def test_a_missing_secret_is_named_and_its_value_never_shown(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="VAR, which is not set"):
        read_secret(SecretRef("A", "env", "VAR"), {})
    with pytest.raises(Problem, match="No such file"):
        read_secret(SecretRef("A", "file", str(tmp_path / "none")))
    (tmp_path / "large").write_bytes(b"x" * (MAX_SECRET + 1))
    with pytest.raises(Problem, match="larger") as large:
        read_secret(SecretRef("A", "file", str(tmp_path / "large")))
    assert "xxx" not in str(large.value)


def test_the_digest_changes_with_name_value_and_key_only() -> None:
    one = secrets_digest({"A": b"1", "B": b"2"}, KEY)
    assert one == secrets_digest({"B": b"2", "A": b"1"}, KEY)
    others = [
        secrets_digest({"A": b"1", "B": b"3"}, KEY),
        secrets_digest({"A": b"1", "C": b"2"}, KEY),
        secrets_digest({"A": b"1 1 B 1 2"}, KEY),
        secrets_digest({"A": b"1", "B": b"2"}, b"other"),
    ]
    assert one not in others
    assert len(set(others)) == len(others)
    assert secrets_digest({}, KEY) == ""


def test_boot_files_hold_environment_and_secrets() -> None:
    assert bootfiles({"A": "1"}, {"S": b"x"}) == {"environment": b'A="1"\n', "secrets/S": b"x"}
