"""Debian packages that tests make, with the machine's dpkg-deb."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from bluestone.image.packagestore import PackageStore
from bluestone.model.lock import LockedPackage


def make_deb(
    place: Path,
    name: str,
    version: str = "1",
    files: Mapping[str, str] = {},
    control: Mapping[str, str] = {},
    compression: str = "gzip",
    **fields: str,
) -> Path:
    """A package of files (path -> content) and of control files beside `control`; fields with `_` for `-`."""
    tree = place / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    said = {"Package": name, "Version": version, "Architecture": "amd64", "Maintainer": "n <n@example.org>"}
    said |= {key.replace("_", "-"): value for key, value in fields.items()} | {"Description": f"{name} \n more of it"}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in said.items()))
    for script, text in control.items():
        (tree / "DEBIAN" / script).write_text(text)
        (tree / "DEBIAN" / script).chmod(0o755 if text.startswith("#!") else 0o644)
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    deb = place / f"{name}_{version}.deb"
    line = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", str(tree), str(deb)]
    subprocess.run(line, check=True, capture_output=True)
    return deb


def locked(deb: Path, store: PackageStore, *, required: bool = False) -> LockedPackage:
    """A package in the store, as a lock has it."""
    sha256, size = store.add(deb), deb.stat().st_size
    shown = subprocess.run(["dpkg-deb", "--show", str(deb)], check=True, capture_output=True, text=True)
    name, version = shown.stdout.split()
    pool = f"pool/{deb.name}"
    return LockedPackage(name, version, "amd64", sha256, size, pool, "main", "trixie", name, version, required=required)
