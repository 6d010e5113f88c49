"""An engine for tests of what is built around engines: packages of a few files each, laid in a moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import Lock, LockedPackage

Progress = Callable[[str], None]

BASE = {"base": "1"}
"""What every tree has, as `required`."""

FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n",
    "etc/group": "root:x:0:\nwww-data:x:33:\nadm:x:4:\n",
    "etc/shadow": "root:*:1:0:99999:7:::\n",
}
STANZA = "Package: {}\nStatus: install ok installed\nVersion: {}\nArchitecture: amd64\n\n"


class Fake:
    """A `Changer`. The times of what it lays are those of the day, as with real ones."""

    name = "fake"

    def version(self) -> str:
        return "1"

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: Progress) -> None:
        for directory in ("etc", "root", "run", "tmp", "var/log", "var/lib/dpkg/info", "usr/bin"):
            (root / directory).mkdir(parents=True)
        for name, text in FILES.items():
            (root / name).write_text(text)
        for package in lock.packages:
            lay(package, packages, root)
        write_status(lock, root)
        progress("fake packages are installed")

    def can_change(self, before: Lock, after: Lock, root: Path) -> bool:
        return True

    def change(self, before: Lock, after: Lock, packages: PackageStore, root: Path, progress: Progress) -> None:
        old, new = ({each.key: each for each in lock.packages} for lock in (before, after))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                if key in old:
                    remove(old[key], packages, root)
                if key in new:
                    lay(new[key], packages, root)
        write_status(after, root)
        (root / "var/log/dpkg.log").write_text(f"{os.getpid()}")
        progress("fake packages are changed")


class Wrong(Fake):
    """What it changes is not what it installs."""

    name = "wrong"

    def can_change(self, before: Lock, after: Lock, root: Path) -> bool:
        return True

    def change(self, before: Lock, after: Lock, packages: PackageStore, root: Path, progress: Progress) -> None:
        super().change(before, after, packages, root, progress)
        (root / "etc/left-over").write_text("of an older version")


class Unchanging:
    """An engine that installs only."""

    name = "unchanging"
    version = Fake.version
    install = Fake.install


def lay(package: LockedPackage, packages: PackageStore, root: Path) -> None:
    """A package's files: some in directories of their own, some not; one with two names, one a link."""
    content = packages.path(package.sha256).read_text()
    own = root / "usr/share" / package.name
    own.mkdir(parents=True)
    (own / "content").write_text(content)
    os.link(own / "content", own / "again")
    (own / "sub").mkdir(mode=0o750)
    (own / "sub" / f"of-{package.version}").touch(mode=0o600)
    program = root / "usr/bin" / package.name
    program.write_text(f"#!/bin/sh\necho {content}\n")
    program.chmod(0o4755 if package.version.endswith("s") else 0o755)
    (root / "usr/bin" / f"{package.name}-link").symlink_to(package.name)
    paths = [own, own / "content", own / "again", own / "sub", own / "sub" / f"of-{package.version}", program]
    listed = "".join(f"/{path.relative_to(root)}\n" for path in paths)
    (root / f"var/lib/dpkg/info/{package.name}.list").write_text(listed)


def remove(package: LockedPackage, packages: PackageStore, root: Path) -> None:
    """Remove what `lay` laid."""
    own = root / "usr/share" / package.name
    for path in (own / "sub" / f"of-{package.version}", own / "again", own / "content"):
        path.unlink()
    (own / "sub").rmdir()
    own.rmdir()
    for name in (f"usr/bin/{package.name}", f"usr/bin/{package.name}-link", f"var/lib/dpkg/info/{package.name}.list"):
        (root / name).unlink()


def write_status(lock: Lock, root: Path) -> None:
    text = "".join(STANZA.format(package.name, package.version) for package in lock.packages)
    (root / "var/lib/dpkg/status").write_text(text)


def fake_lock(packages: PackageStore, versions: Mapping[str, str]) -> Lock:
    """A lock of packages of these versions, which are put into the store."""
    locked = []
    for name, version in sorted((BASE | dict(versions)).items()):
        packages.directory.mkdir(parents=True, exist_ok=True)
        draft = packages.directory.parent / f".draft-{os.getpid()}"
        draft.write_text(f"{name} {version}")
        sha256 = packages.add(draft)
        draft.unlink()
        size = packages.path(sha256).stat().st_size
        pinned = (name, version, "amd64", sha256, size, f"pool/{name}.deb", "main", "trixie", name, version)
        locked.append(LockedPackage(*pinned, required=name in BASE))
    return Lock("debian:trixie", "amd64", 1, (), (), tuple(locked))
