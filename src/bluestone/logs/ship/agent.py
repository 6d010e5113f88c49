"""What every image needs to ship its journal, and what every server needs to be let in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bluestone.model.recipe import OverlayFile

HERE = Path(__file__).parent
SHEBANG = "#!/usr/bin/python3 -I\n"


@dataclass(frozen=True)
class LogAgent:
    """Additions to a recipe, in its own words: they come before what the declaration asks for."""

    packages: tuple[str, ...]
    files: tuple[OverlayFile, ...]
    units: tuple[str, ...]
    run: tuple[str, ...]


def agent() -> LogAgent:
    """The shipper, its unit, its user, and the journal's settings."""
    return LogAgent(
        packages=("python3-minimal",),
        files=(
            OverlayFile("/usr/lib/bluestone/shipper", content=SHEBANG + _read("shipper.py"), mode=0o755),
            _file("/usr/lib/systemd/system/bluestone-shipper.service", "bluestone-shipper.service"),
            _file("/usr/lib/sysusers.d/bluestone-shipper.conf", "bluestone-shipper.sysusers.conf"),
            _file("/usr/lib/tmpfiles.d/bluestone-shipper.conf", "bluestone-shipper.tmpfiles.conf"),
            _file("/usr/lib/systemd/journald.conf.d/50-bluestone.conf", "bluestone-journald.conf"),
        ),
        units=("bluestone-shipper.service",),
        run=("systemd-sysusers bluestone-shipper.conf",),
    )


def bootfiles(endpoint: str, token: str, authority: bytes = b"") -> dict[str, bytes]:
    """The files under /run/bluestone of one server: where its shipper sends lines, and what lets it in.

    `endpoint` is `unix:/PATH`, a path on the server, or `https://HOST:PORT`; `authority` the certificate (PEM) of
    whoever vouches for the receiver there, if that is none of the authorities that the image knows.
    """
    return {
        "logs/endpoint": f"{endpoint}\n".encode(),
        "logs/token": f"{token}\n".encode(),
        "logs/ca": authority,
    }


def _file(target: str, name: str) -> OverlayFile:
    return OverlayFile(target, content=_read(name), mode=0o644)


def _read(name: str) -> str:
    return (HERE / name).read_text()
