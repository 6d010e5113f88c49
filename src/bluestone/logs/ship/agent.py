"""What every image needs to ship its lines, and what every server needs to be let in."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from bluestone.model.group import LogPolicy
from bluestone.model.recipe import OverlayFile

NOTHING_MORE = LogPolicy()
HERE = Path(__file__).parent
PACKAGE = "/usr/lib/bluestone/ship"
PROGRAM = f"""\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "{PACKAGE}")
from shipper.main import main

main()
"""


class LogAgent(Struct, frozen=True):
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
            OverlayFile("/usr/lib/bluestone/shipper", content=PROGRAM, mode=0o755),
            *(_file(f"{PACKAGE}/shipper/{module}", f"shipper/{module}") for module in _modules()),
            _file("/usr/lib/systemd/system/bluestone-shipper.service", "bluestone-shipper.service"),
            _file("/usr/lib/sysusers.d/bluestone-shipper.conf", "bluestone-shipper.sysusers.conf"),
            _file("/usr/lib/tmpfiles.d/bluestone-shipper.conf", "bluestone-shipper.tmpfiles.conf"),
            _file("/usr/lib/systemd/journald.conf.d/50-bluestone.conf", "bluestone-journald.conf"),
        ),
        units=("bluestone-shipper.service",),
        run=("systemd-sysusers bluestone-shipper.conf",),
    )


def bootfiles(
    endpoint: str, token: str = "", authority: bytes = b"", certificate: bytes = b"", policy: LogPolicy = NOTHING_MORE
) -> dict[str, bytes]:
    """The files under /run/bluestone of one server: where its shipper sends lines, what lets it in, and its rules.

    `endpoint` is `unix:/PATH`, a path on the server, or `https://HOST:PORT`; `authority` the certificate (PEM) of
    whoever vouches for the receiver there, if that is none of the authorities that the image knows. What lets the
    server in is a `token`, or its own `certificate` with its key (PEM).
    """
    return {
        "logs/endpoint": f"{endpoint}\n".encode(),
        "logs/token": f"{token}\n".encode() if token else b"",
        "logs/ca": authority,
        "logs/certificate": certificate,
        "logs/rules": rules(policy),
    }


def rules(policy: LogPolicy) -> bytes:
    """What a shipper reads besides the journal, and what it hides: a rule in each line, after its kind."""
    lines = [f"file {path}\n" for path in policy.files] + [f"mask {rule}\n" for rule in policy.mask]
    return "".join(lines).encode()


def _modules() -> list[str]:
    """The shipper's own, without the door by which tests run it from the package."""
    return sorted(path.name for path in (HERE / "shipper").glob("*.py") if path.name != "__main__.py")


def _file(target: str, name: str) -> OverlayFile:
    return OverlayFile(target, content=_read(name), mode=0o644)


def _read(name: str) -> str:
    return (HERE / name).read_text()
