"""The archives of a base as apt sees them in a room of its own: fetched, checked by their signatures, and read."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from bluestone.image.apt import Apt
from bluestone.image.archive import ResolvedBase
from bluestone.image.lock import index, trouble
from bluestone.image.lock.index import Index, Stanza
from bluestone.image.sources import Source
from bluestone.model.lock import Release
from bluestone.model.problem import Problem

TARGETS = "$(REPO_URI)|$(RELEASE)|$(FILENAME)"
"""What is asked of apt about each index that it has fetched (apt-get(8), indextargets)."""


class Archives:
    """The archives of `base`, by `apt`."""

    def __init__(self, apt: Apt, base: ResolvedBase) -> None:
        self._apt, self._base = apt, base

    def update(self, kept: Path | None = None) -> None:
        """Fetch the archives' indexes; apt checks signatures, dates and digests. Raises `Problems`.

        With `kept`, a directory with all that apt fetched and checked of these archives a moment ago, nobody is asked.
        """
        lines = []
        for source in self._base.sources:
            keyring = _keyring(self._apt, source, self._base)
            lines.append(source_line(source, f"signed-by={keyring}"))
        (self._apt.sources / "archives.list").write_text("".join(sorted(set(lines), key=lines.index)))
        if kept is not None:
            # As between apt's `update` and `install`: what it found wrong on the way here it did not keep.
            recall(kept, self._apt.lists)
            return
        ending = self._apt.run(["apt-get", "update"])
        if ending.status:
            raise trouble.of_update(ending.tail, self._base)

    def indexes(self) -> list[Index]:
        """What the archives have, in the order of the sources."""
        ending = self._apt.run(["apt-get", "indextargets", "--format", TARGETS, "Identifier: Packages"])
        found: dict[tuple[str, str], dict[str, Stanza]] = {}
        for line in ending.tail:
            uri, suite, file = line.split("|")
            text = Path(file).read_text(errors="replace")
            # apt leaves out the suite `/` of an archive that has its index where it begins.
            found.setdefault((uri.rstrip("/"), suite or "/"), {}).update(index.stanzas(text))
        return [
            Index(source.archive, source.suite, source.uri, found.get((source.uri, source.suite), {}))
            for source in self._base.sources
        ]

    def releases(self) -> tuple[Release, ...]:
        """The releases of today, by archive and suite."""
        found = (index.release(self.release_text(s), s.archive, s.suite) for s in self._base.sources)
        return tuple(sorted(found, key=lambda release: (release.archive, release.suite)))

    def release_text(self, source: Source) -> str:
        """What the Release file of a suite says, as apt checked it."""
        where = source.suite if source.suite.endswith("/") else f"dists/{source.suite}/"
        stem = list_name(f"{source.uri}/{where}")
        for kind in ("InRelease", "Release"):
            file = self._apt.lists / f"{stem}{kind}"
            if file.exists():
                return file.read_text(errors="replace")
        raise Problem(f"apt kept no Release file of {source.archive} {source.suite}", mend="try again")


def recall(kept: Path, lists: Path) -> None:
    """Have apt see lists that were kept."""
    for file in kept.glob("*"):
        shutil.copy2(file, lists)


def source_line(source: Source, option: str) -> str:
    """A source in sources.list(5)'s one-line format."""
    return f"deb [{option}] {source.uri} {' '.join((source.suite, *source.components))}\n"


def list_name(uri: str) -> str:
    """What apt calls the file that it keeps of a URI (`URItoFileName` in apt-pkg/contrib/strutl.cc)."""
    path = uri.partition("://")[2] or uri.partition(":")[2]
    path = re.sub("/+$", "/", path)
    escaped = "".join(f"%{ord(c):02x}" if c in '\\|{}[]<>"^~_=!@#$%&*' else c for c in path)
    return escaped.replace("/", "_")


def _keyring(apt: Apt, source: Source, base: ResolvedBase) -> Path:
    """A copy of the keys that sign an archive, where apt's sandboxed user can read it."""
    original = Path(source.signed_by) if source.signed_by else base.keyring
    content = original.read_bytes()
    name = hashlib.sha256(content).hexdigest()[:16]
    copy = apt.keyrings / f"{name}.{'asc' if content.lstrip().startswith(b'-----BEGIN') else 'gpg'}"
    if not copy.exists():
        shutil.copyfile(original, copy)
        copy.chmod(0o644)
    return copy
