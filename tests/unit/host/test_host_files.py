"""A file is written whole, or is as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bluestone.host.files import write_atomically
from bluestone.model.problem import Problem


@pytest.mark.parametrize(
    ("number", "what", "mend"),
    [
        (errno.ENOSPC, "the disk is full", "larger disk"),
        (errno.EDQUOT, "the disk is full", "larger disk"),
        (errno.EIO, "cannot write", "writable"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(
    number: int, what: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"old")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Problem, match=what) as raised:
        write_atomically(file, b"new")
    assert str(file) in raised.value.what
    assert mend in raised.value.mend
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
