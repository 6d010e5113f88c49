"""What the web page needs of the log receiver: a certificate of the same authority."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from bluestone.app.project import Project


def certificate_for(project: Project, names: Collection[str], now: datetime) -> Path:
    """A certificate with its key (PEM) for these names, of the project's authority, made if needed. Raises `Problem`.

    It is the receiver's: its names are added to, never taken away, and a receiver that runs keeps the one it has.
    """
    from bluestone.logs.receive.certificates import ensure_certificate

    directory = project.logs / "tls"
    ensure_certificate(directory, names, now)
    return directory / "receiver.pem"
