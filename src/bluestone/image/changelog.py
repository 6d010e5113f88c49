"""The changelog of a Debian package, out of its .deb (Debian Policy 12.7)."""

from __future__ import annotations

import re
import subprocess
import tarfile
import zlib
from pathlib import Path

MEMBER = re.compile(r"\./usr/share/doc/[^/]+/changelog(\.Debian)?(\.[a-z0-9-]+)?\.gz")
LARGEST = 16 << 20
"""Bytes of a changelog that are read; the kernel's has some 3 MB."""


def changelog_of(deb: Path) -> str | None:
    """The changelog in a package, Debian's own where there are two; None if there is none in it, or it is damaged."""
    found: dict[str, bytes] = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as reader:
        try:
            assert reader.stdout
            with tarfile.open(fileobj=reader.stdout, mode="r|") as tar:
                for member in tar:
                    match = MEMBER.fullmatch(member.name)
                    if match and member.isfile() and member.size <= LARGEST:
                        content = tar.extractfile(member)
                        assert content
                        # The build's own changelog has the architecture in its name, and one entry.
                        found["own" if match[1] and not match[2] else "other"] = content.read()
                    if "own" in found:
                        break
        except (tarfile.TarError, OSError):
            return None
        finally:
            reader.kill()
    packed = found.get("own") or found.get("other")
    return _unpacked(packed) if packed else None


def _unpacked(content: bytes) -> str | None:
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content, LARGEST).decode(errors="replace")
    except zlib.error:
        return None
