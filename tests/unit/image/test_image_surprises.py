"""What a patch must not bring along."""

from __future__ import annotations

from bluestone.image.diff import ComponentChange, FileChange, ImageDiff, UnitChange
from bluestone.image.surprises import MOST, surprises
from bluestone.model.ids import Digest

OLD, NEW = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)


def changes(
    packages: tuple[ComponentChange, ...] = (),
    files: tuple[FileChange, ...] = (),
    units: tuple[UnitChange, ...] = (),
) -> ImageDiff:
    return ImageDiff(OLD, NEW, packages, files, units, ())


def file(path: str, package: str = "", *, follows: bool = False) -> FileChange:
    return FileChange("changed", path, (), package, follows)


def test_what_the_lock_moves_and_what_follows_from_it_surprises_nobody() -> None:
    made = changes(
        (
            ComponentChange("upgraded", "deb", "libssl3", "1", "2", "openssl"),
            ComponentChange("changed", "pypi", "pip", "1", "2", "package libssl3"),
        ),
        (
            file("/usr/lib/libssl.so.3", "libssl3", follows=True),
            file("/var/lib/dpkg/status", follows=True),
            file("/etc/ld.so.cache"),
            file("/usr/lib/python3/x/__pycache__/y.cpython-313.pyc"),
        ),
    )
    assert surprises(made, {"libssl3"}) == ()


def test_all_else_does() -> None:
    made = changes(
        (
            ComponentChange("upgraded", "deb", "curl", "1", "2", "curl"),
            ComponentChange("changed", "pypi", "flask", "1", "2", "/srv/app/requirements.txt"),
        ),
        (file("/etc/nginx/nginx.conf"), file("/usr/bin/bash", "bash"), file("/etc/passwd")),
        (UnitChange("enabled", "evil.service", "multi-user.target"),),
    )
    found = "\n".join(surprises(made, {"libssl3"}))
    for named in ("curl", "flask", "/etc/nginx/nginx.conf", "/usr/bin/bash", "/etc/passwd", "evil.service"):
        assert named in found
    assert len(surprises(made, {"libssl3"})) == 6
    raised = surprises(made, {"libssl3"}, {"/srv/app/requirements.txt"})
    assert not any("flask" in each for each in raised)


def test_of_many_the_first_are_told() -> None:
    found = surprises(changes(files=tuple(file(f"/srv/{number}") for number in range(MOST + 3))), ())
    assert (len(found), found[-1]) == (MOST + 1, "and 3 more")
