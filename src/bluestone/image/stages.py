"""Stages on this machine: trees of packages alone, normalised, each by the key of what it is made of.

DIRECTORY/<64 hex>/root            the tree      (a stage is complete once this directory has its name)
DIRECTORY/<64 hex>/manifest        its description (`tree`)
DIRECTORY/<64 hex>/stage.json      everything else
DIRECTORY/<64 hex>/bluestone.lock  the lock whose packages they are
DIRECTORY/<64 hex>/silent          which programs need not be looked into for a bill (`sbom.silent`)
DIRECTORY/<64 hex>/use             held, shared, while the tree is in use; its time is that of the last use
DIRECTORY/proofs/<64 hex>.json     what a build from nothing gave for a key, and what differed from that
"""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone.host.files import flush, write_atomically
from bluestone.host.paths import private_directory
from bluestone.image.lock.file import NAME, parse, render
from bluestone.image.remove import remove_tree
from bluestone.image.tree import content_size, differences, digest
from bluestone.model.lock import Lock

HEX = 64

State = Literal["proved", "being proved", "mismatch", "unproved"]


class StageFacts(Struct, frozen=True):
    """What `stage.json` holds.

    `family` names all inputs but the packages: stages of one family can be made from each other. `tree` is the digest
    of the manifest; `size` in bytes. `patched` is whether it was made by changing another stage.
    """

    key: str
    family: str
    tree: str
    size: int
    patched: bool


class Stage(Struct, frozen=True, dict=True):
    """A stage in the store. `last_use` is when something was last built on it."""

    key: str
    family: str
    tree: str
    size: int
    patched: bool
    directory: Path
    last_use: datetime

    @property
    def manifest(self) -> str:
        """The manifest of its tree."""
        return (self.directory / "manifest").read_text()

    @cached_property
    def lock(self) -> Lock:
        """The lock whose packages are in it; reading it takes a while. Raises `Problem` if it cannot be read."""
        return parse((self.directory / NAME).read_text(), str(self.directory / NAME))


class Proof(Struct, frozen=True):
    """What a build from nothing says of the stages of a key.

    `tree` is what it gave; `mismatches` are the trees that came about otherwise and are not that, with the paths in
    which they differ.
    """

    tree: str
    mismatches: dict[str, tuple[str, ...]]


class StageStore:
    """The stages below a directory. Others must not enter it, for the reason given by `ImageStore`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, key: str) -> Stage | None:
        """The stage of a key, if it is here."""
        place = self.directory / key
        try:
            facts = msgspec.json.decode((place / "stage.json").read_bytes(), type=StageFacts)
            used = datetime.fromtimestamp((place / "use").stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        return Stage(facts.key, facts.family, facts.tree, facts.size, facts.patched, place, used)

    def list(self) -> builtins.list[Stage]:
        """Every stage that is here, by key."""
        if not self.directory.is_dir():
            return []
        names = sorted(entry.name for entry in self.directory.iterdir() if len(entry.name) == HEX)
        return [stage for name in names if (stage := self.find(name))]

    def add(self, work: Path, key: str, family: str, lock: Lock, *, patched: bool) -> Stage:
        """Make the tree in a directory the stage of a key, in place of what is there: all of it, or nothing.

        `work` holds `root` and `manifest`, and is on the file system of the store. One that was made from nothing is
        the proof of its key. Raises `Problem`.
        """
        text = (work / "manifest").read_text()
        facts = StageFacts(key, family, digest(text), content_size(text)[0], patched)
        (work / "stage.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts)))
        (work / NAME).write_text(render(lock))
        (work / "use").touch()
        if not patched:
            self._prove(key, facts.tree, text)
        self.remove(key, wait=True)
        private_directory(self.directory)
        made = self._aside()
        for name in ("root", "manifest", "stage.json", NAME, "use"):
            (work / name).rename(made / name)
        made.rename(self.directory / key)
        flush(self.directory)
        found = self.find(key)
        assert found is not None, "the caller holds the right to build it"
        return found

    def remove(self, key: str, *, wait: bool = False) -> bool:
        """Remove a stage; return whether it is gone. One that is in use stays, unless `wait` is for its end.

        So does one, without `wait`, that is still to be proved. Images keep what they have of its tree.
        """
        stage = self.find(key)
        if stage is None:
            return True
        if not wait and self.state(stage.key, stage.tree) == "being proved":
            return False
        with (stage.directory / "use").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                return False
            doomed = self._aside()
            stage.directory.rename(doomed / "stage")
        remove_tree(doomed)
        return True

    @contextmanager
    def in_use(self, key: str) -> Iterator[Stage | None]:
        """The stage of a key, which is not removed meanwhile; None if it is not here."""
        file = self._hold(key)
        if file is None:
            yield None
            return
        with file:
            os.utime(file.fileno())
            yield self.find(key)

    def unproved(self) -> builtins.list[Stage]:
        """Stages that were made by changing others, and are not compared yet with what a build from nothing gives."""
        return [each for each in self.list() if self.state(each.key, each.tree) == "being proved"]

    def state(self, key: str, tree: str) -> State:
        """Whether this is the tree that a build from nothing gives for a key; `unproved` if nobody will find out."""
        proof, stage = self.proof(key), self.find(key)
        if proof is None:
            return "being proved" if stage is not None and stage.tree == tree else "unproved"
        return "proved" if proof.tree == tree else "mismatch"

    def proof(self, key: str) -> Proof | None:
        """What a build from nothing gave for a key, if there was one."""
        try:
            return msgspec.json.decode((self.directory / "proofs" / f"{key}.json").read_bytes(), type=Proof)
        except FileNotFoundError:
            return None

    def sweep_proofs(self, needed: Collection[str], older: datetime) -> None:
        """Forget proofs of before `older` whose keys are not among those needed, and of which there is no stage."""
        keep = {*needed, *(stage.key for stage in self.list())}
        for file in self.directory.glob("proofs/*.json"):
            with contextlib.suppress(FileNotFoundError):
                # One that is newer may be of a stage that is put in its place this very moment.
                if file.stem not in keep and file.stat().st_mtime < older.timestamp():
                    file.unlink()

    def conclude(self, work: Path, key: str, family: str, lock: Lock) -> Stage:
        """Compare what a build from nothing gave with the stage of its key, and keep the one that is right.

        `work` as in `add`. What differs is kept among the mismatches of the proof. Raises `Problem`.
        """
        text, stage = (work / "manifest").read_text(), self.find(key)
        if stage is None or stage.tree != digest(text):
            return self.add(work, key, family, lock, patched=False)
        self._prove(key, stage.tree, text)
        return stage

    def _prove(self, key: str, tree: str, manifest: str) -> None:
        stage, proof = self.find(key), self.proof(key) or Proof(tree, {})
        mismatches = {each: paths for each, paths in proof.mismatches.items() if each != tree}
        if stage is not None and stage.tree != tree:
            mismatches[stage.tree] = tuple(differences(stage.manifest, manifest))
        text = msgspec.json.encode(replace(proof, tree=tree, mismatches=mismatches))
        write_atomically(private_directory(self.directory / "proofs") / f"{key}.json", msgspec.json.format(text))

    def _aside(self) -> Path:
        """A directory that the image store sweeps away if this process is killed."""
        return Path(tempfile.mkdtemp(prefix=".work-", dir=self.directory.parent))

    def _hold(self, key: str) -> IO[str] | None:
        """The open `use` of a stage that is here, with a shared lock on it."""
        while True:
            path = self.directory / key / "use"
            try:
                file = path.open()
            except FileNotFoundError:
                return None
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    return file
            except FileNotFoundError:
                pass
            file.close()  # It was replaced or removed this very moment.
