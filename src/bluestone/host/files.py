"""Writes files so that a crash leaves the old one or the new one, never half of one; and has them on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from bluestone.model.problem import Problem


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file's content durably (fsync, then rename). Raises `Problem` on a full or read-only disk."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem(
                f"the disk is full: {path} could not be written",
                mend="free some space, or set BLUESTONE_HOME to a directory on a larger disk",
            ) from error
        raise Problem(f"cannot write {path}: {error.strerror}", mend="make the directory writable") from error


def flush(path: Path) -> None:
    """Have a file's content, or the names in a directory, on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
