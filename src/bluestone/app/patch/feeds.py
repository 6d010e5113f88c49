"""Feeds of a project: fetched, read and judged; and the one place that knows which reader reads which."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.image.build import full_recipe
from bluestone.app.project import Project
from bluestone.host.files import write_atomically
from bluestone.host.garbage import undisturbed
from bluestone.host.paths import private_directory
from bluestone.model.exposure import FeedState
from bluestone.model.feed import FeedSource, Kind
from bluestone.model.problem import Problem, Problems
from bluestone.patch.feeds import archive, openvex, osv, priorities, support, tracker
from bluestone.patch.feeds.cache import Cached
from bluestone.patch.feeds.judge import Fetched, is_cut, judged
from bluestone.patch.feeds.reading import Damaged, Reading
from bluestone.patch.releases import CODENAMES
from bluestone.patch.versions import debian

Progress = Callable[[str], None]
Held = Collection[tuple[str, str]]
"""Source packages of Debian, with their versions, that images hold."""

FRESH = timedelta(minutes=30)
"""How long ago a feed may have been fetched for nobody to ask again by the way."""

OSV: dict[Kind, str] = {"pypi": "PyPI", "npm": "npm", "maven": "Maven", "go": "Go", "crates": "crates.io"}

LARGE: Collection[Kind] = (*OSV, "debian")
"""Feeds of which reading takes seconds: what was read of them is kept."""

LARGEST_KEY = 1 << 14
"""Bytes of a file with a public key."""

AHEAD = 1 << 20
"""Bytes that are read at once of a zip."""

LISTS = "lists"
"""apt's lists of the archives, beside what was made of them."""


class _Archive(msgspec.Struct):
    about: Fetched
    snapshot: archive.Snapshot | None = None


class Feeds(Struct, frozen=True):
    """What feeds say, and how far each can be relied on. Of one that cannot be read there is no reading."""

    readings: tuple[Reading, ...]
    states: tuple[FeedState, ...]


def load(project: Project, held: Held, now: datetime) -> Feeds:
    """What a project's feeds say, as they were fetched. Asks nobody."""
    policy = project.declaration.patch.feeds
    loaded = [_load(project, source, now) for source in policy.sources]
    if policy.archive:
        loaded.insert(0, _load_archive(project, held, now))
    return Feeds(tuple(reading for reading, _ in loaded if reading), tuple(state for _, state in loaded))


def states(project: Project, progress: Progress, *, fetch: bool) -> tuple[FeedState, ...]:
    """How far each feed of a project can be relied on; with `fetch`, all of them are first. Raises `Problem`."""
    if fetch:
        update(project, (), datetime.now(UTC), progress, older=timedelta(0))
    return load(project, (), datetime.now(UTC)).states


def update(project: Project, held: Held, now: datetime, progress: Progress, *, older: timedelta = FRESH) -> None:
    """Fetch those feeds of a project that were last fetched longer ago than `older`. What hinders is noted with each.

    Raises `Problem` if what comes cannot be kept.
    """
    policy = project.declaration.patch.feeds
    with _in_turn(_directory(project)):
        if policy.archive:
            _update_archive(project, held, now, progress, older)
        for source in policy.sources:
            cached = Cached(_directory(project), source.place)
            if cached.is_remote and _is_due(cached.about(now), now, older):
                progress(f"fetching {source.place}")
                cached.fetch(now)


@contextmanager
def lists(project: Project, since: datetime) -> Iterator[Path | None]:
    """Where apt's lists of a project's archives are, if these were asked at that moment or later; as long as it lasts,
    nobody puts others there."""
    with _in_turn(_directory(project)):
        directory = _archive_directory(project)
        about = _kept_archive(directory).about
        asked = project.declaration.patch.feeds.archive and not about.failure and about.fetched
        yield directory / LISTS if asked and asked >= since and (directory / LISTS).is_dir() else None


@contextmanager
def _in_turn(directory: Path) -> Iterator[None]:
    """One process after the other: whoever comes second finds what the first one has fetched."""
    with (private_directory(directory) / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_due(about: Fetched, now: datetime, older: timedelta) -> bool:
    return bool(about.failure) or about.fetched is None or not timedelta(0) <= now - about.fetched < older


def _load(project: Project, source: FeedSource, now: datetime) -> tuple[Reading | None, FeedState]:
    cached = Cached(_directory(project), source.place)
    about = cached.about(now)
    reading, kept, damage, signed = None, None, "", ""
    if about.fetched is not None:
        try:
            if cached.is_remote and not cached.is_whole(about):
                about = cached.about(now)  # It may have been fetched just now.
                if not cached.is_whole(about):
                    raise Damaged("is not any more what was fetched")
            with undisturbed():
                if source.kind == "vex":
                    from bluestone.patch.feeds.signed import opened

                    document, signed = opened(cached.content.read_bytes(), _keys(project))
                    reading = openvex.read(document)
                else:
                    kept = cached.reading(about) if source.kind in LARGE else None
                    reading = kept or _read(source.kind, cached.content)
        except OSError as error:
            damage = f"cannot be read: {error.strerror or error}"
        except Damaged as damaged:
            damage = str(damaged)
    max_age = project.declaration.patch.feeds.max_age
    state = judged(source.kind, about, reading, damage, now, max_age)
    if reading and state.complete:
        cached.note_sound(about, reading.entries)
        if source.kind in LARGE and kept is None:
            cached.keep_reading(about, reading)
    return reading, replace(state, verified=signed) if signed else state


def _keys(project: Project) -> list[bytes]:
    """The keys by which VEX documents are checked. Raises `Damaged`: a key that is no key checks nothing."""
    from bluestone.patch.feeds.signed import is_key

    found = []
    for place in project.declaration.patch.feeds.vex_keys:
        with Path(place).open("rb") as file:
            key = file.read(LARGEST_KEY)
        if not is_key(key):
            raise Damaged(f"cannot be checked: {place} has no public key of Ed25519 or P-256")
        found.append(key)
    return found


def _read(kind: Kind, path: Path) -> Reading:
    if kind in OSV:
        return osv.read(_members(path), osv.ECOSYSTEMS[OSV[kind]])
    content = path.read_bytes()
    if kind == "debian":
        return tracker.read(content, [codename for (name, _), codename in CODENAMES.items() if name == "debian"])
    readers: dict[Kind, Callable[[bytes], Reading]] = {
        "kev": priorities.exploited,
        "epss": priorities.scores,
        "support": support.read,
    }
    return readers[kind](content)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files in a zip, one after the other."""
    from bluestone.image.sbom.archive import Damaged as DamagedZip
    from bluestone.image.sbom.archive import Zip

    with path.open("rb") as file:
        try:
            found = Zip(_ahead(file.fileno()), path.stat().st_size)
            for name in found.names:
                yield name, found.read(name, osv.LARGEST)
        except DamagedZip as error:
            raise Damaged(f"cannot be read: {error}") from error


def _ahead(descriptor: int) -> Callable[[int, int], bytes]:
    """Reads of a file, offset and length, that lie close behind each other: most are of what was read already."""
    begin, window = 0, b""

    def read(offset: int, length: int) -> bytes:
        nonlocal begin, window
        if not begin <= offset <= offset + length <= begin + len(window):
            begin, window = offset, os.pread(descriptor, max(length, AHEAD), offset)
        return window[offset - begin : offset - begin + length]

    return read


def _directory(project: Project) -> Path:
    return project.home.state / "feeds"


def _archive_directory(project: Project) -> Path:
    """The place of what the archives of a project's recipe said: projects of the same archives share it."""
    from bluestone.image.archive import of_recipe

    base = of_recipe(full_recipe(project))
    named = msgspec.json.encode([base.architecture, *((s.uri, s.suite, s.components, s.archive) for s in base.sources)])
    return _directory(project) / f"archive-{base.suite}-{hashlib.sha256(named).hexdigest()[:16]}"


def _load_archive(project: Project, held: Held, now: datetime) -> tuple[Reading | None, FeedState]:
    try:
        kept = _kept_archive(_archive_directory(project))
    except Problem as problem:
        kept = _Archive(Fetched("", failure=problem.what, refused=True))
    reading = None
    if kept.snapshot:
        expired = [r for r in kept.snapshot.releases if r.valid_until and r.valid_until < now]
        reading = archive.read(kept.snapshot, {source for source, _ in held} - _own(project))
        if expired and not kept.about.failure:
            why = f"{expired[0].suite} was valid until {expired[0].valid_until:%Y-%m-%d %H:%M} UTC"
            kept.about = replace(kept.about, failure=why, refused=True)
    state = judged("archive", kept.about, reading, "", now, project.declaration.patch.feeds.max_age)
    return reading, replace(state, verified="the archives' signatures" if reading else "")


def _own(project: Project) -> set[str]:
    """Sources of packages that come from files beside the declaration: nobody else knows of these."""
    from bluestone.app.image.lock import read_lock
    from bluestone.model.lock import LOCAL

    try:
        lock = read_lock(project)
    except Problem:
        return set()
    return {package.source for package in lock.packages if package.archive == LOCAL} if lock else set()


def _update_archive(project: Project, held: Held, now: datetime, progress: Progress, older: timedelta) -> None:
    try:
        directory = private_directory(_archive_directory(project))
    except Problem:
        return  # It is said when it is loaded.
    kept = _kept_archive(directory)
    needed = archive.unread(kept.snapshot, held) if kept.snapshot else []
    if not needed and kept.snapshot and not _is_due(kept.about, now, older):
        return
    try:
        made = _asked(project, directory, kept, held, now, progress)
    except (Problem, Problems) as error:
        first = error.problems[0] if isinstance(error, Problems) else error
        # What cannot be reached now may be sound; what is reached and not trusted is not.
        refused = not first.what.startswith(UNREACHABLE)
        made = _Archive(replace(kept.about, failure=first.what, refused=refused), kept.snapshot)
    write_atomically(directory / "snapshot", msgspec.msgpack.encode(made))


UNREACHABLE = ("the archive cannot be reached",)
"""How the problem begins of an archive that does not answer (`image.lock.trouble`)."""


def _asked(
    project: Project,
    directory: Path,
    kept: _Archive,
    held: Held,
    now: datetime,
    progress: Progress,
) -> _Archive:
    """Ask the archives, and read what they changed in those packages that images hold an older version of."""
    from bluestone.app import wiring
    from bluestone.image.archive import of_recipe
    from bluestone.image.lock.published import changelogs, published
    from bluestone.patch.changelog import entries

    base, known, before = of_recipe(full_recipe(project)), kept.snapshot, kept.about.entries
    key = lru_cache(maxsize=None)(debian.key)
    needed = archive.unread(known, held) if known else []
    digests = [release.sha256 for release in known.releases] if known and not needed else []
    found = published(base, directory / LISTS, lambda one, other: key(one) > key(other), digests, progress)
    digest = hashlib.sha256("".join(sorted(r.sha256 for r in found.releases)).encode()).hexdigest()
    if known and found.known:
        snapshot = known
    else:
        snapshot = archive.renewed(known, base.suite, found.releases, found.newest, now)
        store = wiring.images(project).packages
        for source, text in changelogs(found, archive.unread(snapshot, held), base, store, progress):
            log = tuple(entries(text)) if text is not None else None
            snapshot.logs[f"{source} {archive.newest_of(snapshot.newest[source])}"] = log
    # What the archive had before it was cut is what it is measured by, however often it is asked.
    count = before if is_cut(len(snapshot.newest), before) else len(snapshot.newest)
    return _Archive(Fetched(base.suite, digest, now, entries=count), snapshot)


def _kept_archive(directory: Path) -> _Archive:
    try:
        return msgspec.msgpack.decode((directory / "snapshot").read_bytes(), type=_Archive)
    except FileNotFoundError:
        return _Archive(Fetched(directory.name))
    except (OSError, msgspec.DecodeError) as error:
        return _Archive(Fetched(directory.name, failure=f"what was kept is damaged: {error}"))
