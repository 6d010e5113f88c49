"""`where`: which servers run something, or ever did, by the bills of images and the journals of projects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime

from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.image.sbom import bill_of
from bluestone.app.project import Project
from bluestone.app.projects import on_this_machine
from bluestone.fleet.lifetimes import KINDS, changes
from bluestone.image.sbom.bills import CYCLONEDX
from bluestone.image.store import ImageStore
from bluestone.logs.moments import parse_moment
from bluestone.model.bom import Bom
from bluestone.model.ids import Digest, short
from bluestone.model.problem import Problem
from bluestone.patch.inventory.answer import Answer, When
from bluestone.patch.inventory.find import find
from bluestone.patch.inventory.index import Index, Mark
from bluestone.patch.inventory.query import parse

FILE = "inventory.sqlite3"
"""The index, beside the images."""

BATCH = 50
"""Bills that are taken in at once. Others wait meanwhile, though not while they are read."""

TOLD = 20
"""Bills to read, from which on it is said: it takes a moment."""


def where(project: Project, text: str, *, at: str | None, ever: bool, progress: Callable[[str], None]) -> Answer:
    """Where `text` (see `patch.inventory.query`) is: of the servers of all projects on this machine that exist, that
    existed `at` a moment in a person's words, or that `ever` did. Raises `Problem`.
    """
    query = parse(text)
    when: When = "ever" if ever else "now" if at is None else parse_moment(at, datetime.now().astimezone())
    with current(project, progress) as (index, gaps):
        return replace(find(index, query, when), gaps=gaps)


@contextmanager
def current(project: Project, progress: Callable[[str], None]) -> Iterator[tuple[Index, tuple[str, ...]]]:
    """The inventory's index, brought up to date, and what hinders to see all. Raises `Problem`."""
    with closing(Index(project.home.images / FILE)) as index:
        yield index, (*_read_bills(index, wiring.images(project), progress), *_read_journals(index, project))


def _read_bills(index: Index, store: ImageStore, progress: Callable[[str], None]) -> Iterator[str]:
    """Read the bills that are new, or were written anew; yield what hinders."""
    known, images = index.stamps(), store.digests()
    new = [image for image in images if known.get(image) != (stamp := _stamp(store, image)) or not stamp]
    if len(new) >= TOLD:
        progress(f"reading the bills of {len(new)} images, once")
    for start in range(0, len(new), BATCH):
        read: list[tuple[Bom, str]] = []
        for image in new[start : start + BATCH]:
            try:
                # The stamp is taken first: what is written meanwhile is read the next time.
                stamp, bom = _stamp(store, image), bill_of(store.get(image))
            except Problem as problem:
                yield f"what is in the image {short(image)}: {problem.what}"
            else:
                read.append((replace(bom, image=image), stamp or _stamp(store, image)))
        with index.changing():
            for bom, stamp in read:
                index.add(bom, stamp)
    with index.changing():
        index.note_here(images)


def _stamp(store: ImageStore, image: Digest) -> str:
    """What changes when a bill does; empty if there is none yet."""
    try:
        stat = (store.directory / image.removeprefix("sha256:") / CYCLONEDX).stat()
    except FileNotFoundError:
        return ""
    return f"{stat.st_mtime_ns} {stat.st_size} {stat.st_ino}"


def _read_journals(index: Index, project: Project) -> Iterator[str]:
    """Read what all journals got since the last time; yield what hinders."""
    for each in on_this_machine(project):
        try:
            _read_journal(index, each)
        except Problem as problem:
            yield f"servers of {each.name}: {problem.what}"


def _read_journal(index: Index, project: Project) -> None:
    journal, mark = project.journal, index.mark(project.name)
    known = mark
    if mark.sequence:
        seen = journal.select((mark.kind,), server=mark.server, after=mark.sequence - 1)
        if not seen or Mark.of(seen[-1]) != mark:
            mark = Mark()  # the journal of before is gone
    events = journal.select(KINDS, after=mark.sequence)[::-1]
    if not events and mark == known:
        return

    def image_of(group: str, number: int) -> str:
        generation = journal.generation_number(group, number)
        return generation.image if generation else ""

    found = list(changes(events, image_of))
    with index.changing():
        if index.mark(project.name) != known:
            return  # another process was quicker
        if mark != known:
            index.forget(project.name)
        index.follow(project.name, found, Mark.of(events[-1]) if events else mark)
