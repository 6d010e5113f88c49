"""Images on this machine, by digest; what was built from which inputs, by key.

DIRECTORY/<64 hex>/root       the tree          (an image is complete once this directory has its name)
DIRECTORY/<64 hex>/manifest   its description
DIRECTORY/<64 hex>/image.json everything else
DIRECTORY/<64 hex>/sbom.*     the bills of what is in it
DIRECTORY/<64 hex>/bluestone.lock   what it was first built by
DIRECTORY/<64 hex>/build.json how it came about (`provenance`)
DIRECTORY/<64 hex>/provenance/<64 hex>.dsse.json   the same, signed by the project whose key is called so
DIRECTORY/<64 hex>/provenance/<64 hex>.held   that a project found the signatures to hold (`app.provenance`)
DIRECTORY/keys/<64 hex>       a key's digest
DIRECTORY/stages              packages alone, to build on (`stages`)
DIRECTORY/packages            the packages that images are built from (`packagestore`)
DIRECTORY/tools.lock          what the tools that pack images are made of (`formats.tools`)
DIRECTORY/locks/<64 hex>      held by whoever builds a key
DIRECTORY/.work-*             builds under way; whoever builds next removes those of the dead
"""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from bluestone.host.files import flush, write_atomically
from bluestone.host.paths import private_directory
from bluestone.image import provenance
from bluestone.image.flush import flush_tree
from bluestone.image.lock.file import NAME as LOCK_NAME
from bluestone.image.packagestore import PackageStore
from bluestone.image.remove import remove_tree
from bluestone.image.spread import spread
from bluestone.image.stages import StageStore, State
from bluestone.model.ids import Digest, short
from bluestone.model.image import Image, Package
from bluestone.model.problem import Problem

HEX = 64

LOCK = LOCK_NAME
"""The file beside a tree that says which packages it was first built from: what it takes to build it anew."""

SHOWN = 20
"""Paths that an error names one by one."""

PATIENCE = 3600.0
"""Seconds to wait for another build of the same thing; a build's own limits are below it."""


class Facts(Struct, frozen=True):
    """What `image.json` holds; `built_at` is when this machine built it.

    `stage` is the key of the packages' stage that it was first built on, and `tree` the digest of that stage's
    manifest. Images of before there were stages have none.
    """

    digest: str
    key: str
    size: int
    files: int
    packages: tuple[Package, ...]
    writable: tuple[str, ...]
    built_at: datetime
    stage: str = ""
    tree: str = ""


class ImageStore:
    """The images below a directory, which is made when something is first put there, for its owner alone.

    Others must not enter: the trees hold programs with the set-user-id bit, which are never updated.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def packages(self) -> PackageStore:
        """The packages that images are built from."""
        return PackageStore(self.directory / "packages")

    @property
    def stages(self) -> StageStore:
        """The stages that images are built on."""
        return StageStore(self.directory / "stages")

    def find(self, key: str) -> Image | None:
        """The image that was built from the inputs of this key, if it is here."""
        try:
            digest = (self.directory / "keys" / _hex(key)).read_text().strip()
            return self._load(digest)
        except FileNotFoundError:
            return None

    def get(self, digest: str) -> Image:
        """The image of this digest. Raises `Problem` if it is not here."""
        try:
            return self._load(digest)
        except FileNotFoundError as missing:
            raise Problem(
                f"the image {short(digest)} is not on this machine",
                mend="build it with `bluestone build`; if its archive has moved on, it is lost",
            ) from missing

    def root(self, digest: str) -> Path:
        """The tree of an image. Raises `Problem` if it is not here."""
        return self.get(digest).root

    def list(self) -> builtins.list[Image]:
        """Every image that is here."""
        return [self._load(digest) for digest in self.digests()]

    def digests(self) -> builtins.list[Digest]:
        """The names of all images that are here, without a look into any."""
        if not self.directory.is_dir():
            return []
        names = sorted(entry.name for entry in self.directory.iterdir() if len(entry.name) == HEX)
        return [Digest(f"sha256:{name}") for name in names]

    def state(self, digest: str) -> State:
        """Whether a build from nothing gives the packages of this image. Raises `Problem` if it is not here."""
        self.get(digest)
        facts = self._facts(digest)
        return self.stages.state(facts.stage, facts.tree) if facts.stage else "proved"

    def require_sound(self, digest: str) -> None:
        """Raise `Problem` if a build from nothing gives other packages than those of this image."""
        if self.state(digest) != "mismatch":
            return
        facts = self._facts(digest)
        proof = self.stages.proof(facts.stage)
        paths = proof.mismatches.get(facts.tree, ()) if proof else ()
        shown = "".join(f"\n     {path}" for path in paths[:SHOWN])
        more = f"\n     and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        raise Problem(
            f"the image {short(digest)} is not what its lock gives from nothing; its packages were patched, and differ "
            f"in:{shown}{more}",
            mend="build it from nothing, and use that: bluestone build --scratch",
        )

    def add(self, work: Path, facts: Facts) -> Image:
        """Make a finished build an image: all of it, or nothing. The same tree built twice is one image.

        `work` is a directory from `workplace`, holding `root` and `manifest`. Raises `Problem`.
        """
        place = self.directory / _hex(facts.digest)
        write_atomically(work / "image.json", msgspec.json.format(msgspec.json.encode(facts)))
        if not place.exists():
            flush_tree(work)
            work.rename(place)
        elif not (place / provenance.FILE).exists():
            _take_over(work, place)
        keys = private_directory(self.directory / "keys")
        write_atomically(keys / _hex(facts.key), f"{facts.digest}\n".encode())
        flush(self.directory)
        return self._load(facts.digest)

    def remove(self, digest: str) -> None:
        """Remove an image, which no server may be running on. Raises `Problem` if it is not here."""
        place = self.get(digest).root.parent
        doomed = Path(tempfile.mkdtemp(prefix=".work-", dir=self.directory))
        place.rename(doomed / "image")
        remove_tree(doomed)

    def touch(self, digest: str) -> None:
        """Note that somebody is about to use an image: it is not garbage. Raises `Problem` if it is not here."""
        os.utime(self.get(digest).root.parent / "image.json")

    def used_at(self, digest: str) -> datetime:
        """When an image was last built or about to be used. Raises `Problem` if it is not here."""
        return datetime.fromtimestamp((self.get(digest).root.parent / "image.json").stat().st_mtime, UTC)

    def sweep_keys(self) -> None:
        """Forget the inputs of images that are gone."""
        for entry in self.directory.glob("keys/*"):
            if len(entry.name) == HEX and self.find(entry.name) is None:
                entry.unlink(missing_ok=True)

    def sweep_proofs(self, older: datetime) -> None:
        """Forget proofs of before `older` that neither a stage nor an image is judged by any more."""
        self.stages.sweep_proofs({self._facts(image.digest).stage for image in self.list()}, older)

    @contextmanager
    def building(self, key: str, progress: Callable[[str], None]) -> Iterator[None]:
        """Hold the right to build this key; a second builder waits here for the first, and is told so."""
        private_directory(self.directory)
        with (private_directory(self.directory / "locks") / _hex(key)).open("w") as file:
            if not _try_lock(file):
                progress("another build of the same is under way: waiting for it")
                end = time.monotonic() + PATIENCE
                while not _try_lock(file):
                    if time.monotonic() > end:
                        raise Problem(
                            f"another build of the same did not end within {PATIENCE:g} s",
                            mend=f"look who holds {file.name}: fuser -v {file.name}",
                        )
                    time.sleep(0.1)
            yield

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A directory to build in; what is still there afterwards is removed, as is what killed builds left."""
        spread(private_directory(self.directory))
        self._sweep()
        work = Path(tempfile.mkdtemp(prefix=".work-", dir=self.directory))
        with (work / "lock").open("w") as file:
            _try_lock(file)
            try:
                yield work
            finally:
                if work.exists():
                    remove_tree(work)

    def _sweep(self) -> None:
        """Remove what builds left that were killed: the kernel gave back their locks."""
        for work in self.directory.glob(".work-*"):
            try:
                with (work / "lock").open() as file:
                    free = _try_lock(file)
            except FileNotFoundError:
                # Made this very moment, or half removed.
                free = time.time() - work.stat().st_mtime > 60 if work.exists() else False
            if free:
                remove_tree(work)

    def _facts(self, digest: str) -> Facts:
        return msgspec.json.decode((self.directory / _hex(digest) / "image.json").read_bytes(), type=Facts)

    def _load(self, digest: str) -> Image:
        place = self.directory / _hex(digest)
        facts = self._facts(digest)
        return Image(
            digest=Digest(facts.digest),
            key=facts.key,
            root=place / "root",
            size=facts.size,
            files=facts.files,
            packages=facts.packages,
            writable=facts.writable,
            built_at=facts.built_at,
        )


def _take_over(work: Path, place: Path) -> None:
    """Give an image of before builds were recorded the record of the same tree's build now."""
    for name in (LOCK, provenance.FILE):
        with contextlib.suppress(FileNotFoundError):
            (work / name).replace(place / name)


def _try_lock(file: IO[str]) -> bool:
    """Take flock(2) on a file. The kernel gives it back when this process ends, however it ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hex(name: str) -> str:
    text = name.removeprefix("sha256:")
    if len(text) != HEX or not set(text) <= set("0123456789abcdef"):
        raise FileNotFoundError(name)
    return text
