"""Who may send lines besides servers: credentials for devices and programs elsewhere."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bluestone.app.project import Project
from bluestone.host.files import write_atomically
from bluestone.logs.receive.credentials import Credentials
from bluestone.model.ids import NAME
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

GROUP = "sources"
"""The group of all sources: they have no image and no generation."""


def allow(project: Project, name: str, certificate: Path | None) -> str:
    """Let a source of that name send lines: by the token that is returned, or a certificate written to a file.

    What it had before stays good. Raises `Problem`.
    """
    identity = _identity(project, name)
    with closing(Credentials(project.logs)) as credentials:
        if certificate is None:
            return credentials.mint(identity)
        from bluestone.logs.receive.certificates import issue_sender

        if certificate.exists():
            raise Problem(f"{certificate} is there already", mend="name a new file: the old one may be in use")
        made, der = issue_sender(project.logs / "tls", name, datetime.now(UTC))
        credentials.enrol(identity, der)
        write_atomically(certificate.absolute(), made)
        return ""


def authority(project: Project) -> Path | None:
    """The certificate that senders must trust; None before there is one."""
    path = project.logs / "tls" / "authority.crt"
    return path if path.exists() else None


def forbid(project: Project, name: str) -> None:
    """Take all credentials of a source back; its lines stay. Raises `Problem`."""
    with closing(Credentials(project.logs)) as credentials:
        if credentials.server(name) is None:
            raise Problem(f'no source is called "{name}"', mend="see them: bluestone logs audit sources")
        credentials.revoke(name)


def _identity(project: Project, name: str) -> Identity:
    if not NAME.fullmatch(name) or re.fullmatch(r".+-\d+-[0-9a-f]{8}-\d+", name):
        raise Problem(
            f'"{name}" is no name for a source', mend="use small letters, digits and single hyphens, such as router-1"
        )
    return Identity(project.name, name, GROUP, 0, "")
