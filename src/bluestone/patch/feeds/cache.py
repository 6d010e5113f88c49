"""Feeds as they were fetched: a file each, with what is known about it beside it.

DIRECTORY/<16 hex>/content   what was fetched, whole
DIRECTORY/<16 hex>/about     `judge.Fetched` and the server's marks of it, as JSON
DIRECTORY/<16 hex>/reading   what was read of it, as it is slower to read once more
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem
from bluestone.patch.feeds.checksums import BESIDE, beside, told
from bluestone.patch.feeds.judge import Fetched
from bluestone.patch.feeds.reading import Reading

TIMEOUT = 60.0
"""Seconds without a byte."""

LARGEST = 2 << 30
"""Bytes of a feed; npm's, the largest, has some 300 MB."""

READERS = 1
"""Of the readers: another number when they tell something else of the same bytes than before."""

CHUNK = 1 << 20
AGENT = "bluestone"


class _About(msgspec.Struct):
    known: Fetched
    etag: str = ""
    last_modified: str = ""


class _Kept(msgspec.Struct):
    """What was read, of which content, by which readers."""

    readers: int
    sha256: str
    reading: Reading


class Cached:
    """A feed's place in the cache. `place` is an http(s) address, or a path: that is read where it is."""

    def __init__(self, directory: Path, place: str) -> None:
        self.place = place
        self.is_remote = place.startswith(("http://", "https://"))
        self._directory = directory / hashlib.sha256(place.encode()).hexdigest()[:16]
        self.content = self._directory / "content" if self.is_remote else Path(place)

    def about(self, now: datetime) -> Fetched:
        """What is known of it. A local file is as current as it is, at any time."""
        if self.is_remote:
            return self._read().known
        known = self._read().known
        try:
            modified = datetime.fromtimestamp(self.content.stat().st_mtime, UTC)
            digest = _digest(self.content)
            return replace(known, sha256=digest, fetched=now, modified=modified, checked=self._beside(digest))
        except _Refused as refused:
            return replace(known, failure=str(refused), refused=True)
        except OSError as error:
            return replace(known, failure=error.strerror or str(error), refused=True)

    def is_whole(self, about: Fetched) -> bool:
        """Whether the content is that which was fetched."""
        try:
            return _digest(self.content) == about.sha256
        except OSError:
            return False

    def note_sound(self, about: Fetched, entries: int) -> None:
        """It was read, and nothing was wrong: this many entries are what it should have at least half of."""
        if about.entries != entries:
            self._write(msgspec.structs.replace(self._read(), known=replace(about, entries=entries)))

    def reading(self, about: Fetched) -> Reading | None:
        """What was read of just this content before, if it was kept."""
        try:
            kept = msgspec.msgpack.decode((self._directory / "reading").read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return None
        return kept.reading if (kept.readers, kept.sha256) == (READERS, about.sha256) else None

    def keep_reading(self, about: Fetched, reading: Reading) -> None:
        """Keep what was read of this content. Where there is no space, it is read again instead."""
        with contextlib.suppress(Problem):
            private_directory(self._directory)
            write_atomically(self._directory / "reading", msgspec.msgpack.encode(_Kept(READERS, about.sha256, reading)))

    def fetch(self, now: datetime) -> None:
        """Fetch it, if its server has another one; what hinders is noted. Raises `Problem` if the disk is full."""
        if not self.is_remote:
            return
        before = self._read()
        try:
            self._write(self._fetched(before, now))
        except _Refused as refused:
            self._write(_About(replace(before.known, failure=str(refused), refused=True), *_marks(before)))
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "reason", None) or error
            self._write(_About(replace(before.known, failure=f"{said}", refused=False), *_marks(before)))

    def _fetched(self, before: _About, now: datetime) -> _About:
        request = urllib.request.Request(self.place, headers={"User-Agent": AGENT})  # noqa: S310 - http(s) alone
        if before.known.fetched and self.is_whole(before.known):
            for header, mark in (("If-None-Match", before.etag), ("If-Modified-Since", before.last_modified)):
                if mark:
                    request.add_header(header, mark)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
                sha256, checked = self._take(answer)
                marks = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.HTTPStatus.NOT_MODIFIED:
                    return _About(replace(before.known, fetched=now, failure="", refused=False), *_marks(before))
                if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise OSError(f"its server answered {error.code} {error.reason}") from error
                raise _Refused(f"its server answered {error.code} {error.reason}") from error
        known = Fetched(self.place, sha256, now, _date(marks[1]), before.known.entries, checked=checked)
        return _About(known, *marks)

    def _beside(self, digest: str) -> str:
        """How a local file was checked. Raises `_Refused` if it is not what the file beside it says."""
        said = self.content.with_name(self.content.name + BESIDE)
        try:
            with said.open() as file:
                expected = beside(file.read(CHUNK))
        except FileNotFoundError:
            return ""
        if expected != digest:
            raise _Refused(f"it is not what {said.name} says")
        return f"as {said.name} says"

    def _take(self, answer: http.client.HTTPResponse) -> tuple[str, str]:
        """Have the answer's body as the content, all of it or nothing; return its SHA-256, and how it was checked."""
        private_directory(self._directory)
        expected = answer.headers.get("Content-Length")
        named, size = told(answer.headers.items()), 0
        digests = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", *named)}
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self._directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                while chunk := answer.read(CHUNK):
                    size += len(chunk)
                    if size > LARGEST:
                        raise _Refused(f"it has more than {LARGEST >> 20} MiB")
                    for digest in digests.values():
                        digest.update(chunk)
                    file.write(chunk)
                if expected is not None and size != int(expected):
                    raise _Refused(f"it was cut after {size} of {expected} bytes")
                for algorithm, value in named.items():
                    if digests[algorithm].digest() != value:
                        raise _Refused(f"it is not what its server says by {algorithm}")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.content)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
        by = ", ".join(named)
        return digests["sha256"].hexdigest(), f"by {by} as its server says" if by else ""

    def _read(self) -> _About:
        try:
            return msgspec.json.decode((self._directory / "about").read_bytes(), type=_About)
        except (OSError, msgspec.DecodeError):
            return _About(Fetched(self.place))

    def _write(self, about: _About) -> None:
        private_directory(self._directory)
        write_atomically(self._directory / "about", msgspec.json.encode(about))


class _Refused(Exception):
    """What came, or did not come, is not what a sound server gives."""


def _marks(about: _About) -> tuple[str, str]:
    return about.etag, about.last_modified


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
