"""Volumes that are put away while their servers sleep: one compressed archive each, in bluestone's own store.

At any moment, whatever was interrupted, one name says where a volume's newest data is:

- `NAME.part-*`: an archive that is being written. The volume is the truth. Whoever makes a server of that slot removes
  it, and whoever writes it then finds that it may not be kept.
- `NAME.snapshot`: an archive that is whole. Where the volume is there as well, the volume is the truth: its removal was
  interrupted, or a server has had it since.
- `NAME.restoring`: the archive is the truth. The volume, if it is there, is half laid out.

Each is a directory with the archive and its manifest, and goes from one to the next by being renamed.

The archive is GNU tar's and not that of `podman volume export`, which loses the owner of the top directory, extended
attributes, access control lists, holes, and parts of a second (measured with podman 4.3). It is the same bytes for the
same content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import IO

import msgspec

from bluestone.fleet.providers.turns import turn
from bluestone.host.commands import require, run
from bluestone.host.files import flush, write_atomically
from bluestone.host.paths import private_directory
from bluestone.model.problem import Problem, Refused
from bluestone.model.volume import Volume

ARCHIVE, MANIFEST = "data.tar.zst", "manifest.json"
CHUNK = 1 << 20
LEVEL = 3
LONGEST = 6 * 3600.0
"""Seconds that writing or laying out a volume may take; 1 GiB took some ten."""

PATIENCE = 600.0
"""Seconds to wait for somebody else who lays out the same volume."""

TAR = ("--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--sparse", "--sparse-version=0.0")
WRITE = ("--create", "--format=posix", "--sort=name", "--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime")
READ = ("--extract", "--same-permissions", "--same-owner", "--delay-directory-restore")


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot is of, and what tells that it is whole.

    `sha256` is of the archive before compression; `archive` and `packed` are its bytes before and after.
    """

    volume: Volume
    at: datetime
    sha256: str
    archive: int
    packed: int


class Snapshots:
    """The snapshots of one project's volumes, below `base`. `enter` begins commands that are to see files as podman has
    them (`podman unshare` without root)."""

    def __init__(self, base: Path, enter: Sequence[str] = ()) -> None:
        self._base = base
        self._enter = tuple(enter)

    def list(self) -> dict[str, Manifest]:
        """Every whole archive by its volume's name. Raises `Problem` for one whose manifest cannot be read."""
        found = {}
        for path in sorted(self._base.glob("*")) if self._base.is_dir() else ():
            if path.suffix in (".snapshot", ".restoring"):
                found[path.stem] = self._manifest(path)
        return found

    def has(self, name: str) -> bool:
        """Whether there is one of this volume."""
        return self._whole(name).exists() or self.restoring(name)

    def restoring(self, name: str) -> bool:
        """Whether the volume, if it is there, is half laid out."""
        return self._of(name).exists()

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Let nobody else write or lay out a volume meanwhile. Raises `Problem` after `PATIENCE`."""
        with turn(self._base / ".turns" / name, PATIENCE):
            yield

    def nothing_in(self, place: Path) -> bool:
        """Whether a volume is empty: podman would fill it anew from the image, where it was laid out again."""
        return not run([*self._enter, "find", str(place), "-mindepth", "1", "-print", "-quit"], timeout=60.0)

    def begin(self, name: str) -> Path:
        """Where a new archive is to be written; what others left of one is removed."""
        private_directory(self._base)
        self.cancel(name)
        self.discard(name)  # an older one: the volume is the truth
        return Path(mkdtemp(prefix=f"{name}.part-", dir=self._base))

    def cancel(self, name: str) -> None:
        """An archive that is being written now may not be kept."""
        for path in self._base.glob(f"{name}.part-*"):
            shutil.rmtree(path, ignore_errors=True)

    def write(self, part: Path, volume: Volume, source: Path, at: datetime) -> Manifest:
        """Write a volume's archive to `part` and read it again from the disk; return its manifest. Raises `Problem`."""
        try:
            digest, size = self._pack(part / ARCHIVE, source)
            flush(part / ARCHIVE)
            _forget(part / ARCHIVE)
            if (found := _read(part / ARCHIVE)) != (digest, size):
                raise Problem(
                    f"the snapshot of {volume.name} reads back as something else than was written ({found[1]} bytes)",
                    mend="look at the disk: dmesg, smartctl",
                    left="the volume is as it was",
                )
            manifest = Manifest(volume, at, digest, size, (part / ARCHIVE).stat().st_size)
            write_atomically(part / MANIFEST, msgspec.json.encode(manifest))
        except FileNotFoundError as error:
            raise _woken(volume.name) from error
        except OSError as error:
            raise _unwritten(volume.name, error) from error
        return manifest

    def keep(self, part: Path, name: str) -> None:
        """Have an archive that was written be the volume's snapshot. Raises `Refused` if a server came meanwhile."""
        try:
            part.rename(self._whole(name))
            flush(self._base)
        except FileNotFoundError as error:
            raise _woken(name) from error

    def take(self, name: str) -> Manifest:
        """The archive is the truth from now on, until `discard`: its volume is about to be laid out."""
        if not self.restoring(name):
            self._whole(name).rename(self._of(name))
            flush(self._base)
        return self._manifest(self._of(name))

    def lay_out(self, name: str, target: Path) -> None:
        """Lay a volume's files out, and have them on the disk. Raises `Problem` for an archive that is damaged."""
        manifest = self._manifest(self._of(name))
        tar = [*self._enter, require("tar"), *READ, *TAR, "--directory", str(target), "--file", "-"]
        with _started(tar, name, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            found = ("", 0)
            # Where tar gave up, what it says of it is told.
            with suppress(BrokenPipeError):
                found = _read(self._of(name) / ARCHIVE, process.stdin)
            with suppress(BrokenPipeError):
                process.stdin.close()
        if found != (manifest.sha256, manifest.archive):
            raise Problem(
                f"the snapshot of the volume {name} is damaged",
                mend=f"restore {self._of(name)} from a backup, or give its data up: bluestone volumes rm {name}",
                left="no server is started with half of it",
            )
        run(["sync", "--file-system", str(target.parent)], timeout=LONGEST)

    def discard(self, name: str) -> None:
        """There is no snapshot of this volume any more, from one moment to the next."""
        for path in (self._whole(name), self._of(name)):
            if path.exists():
                gone = Path(mkdtemp(prefix=f"{name}.part-", dir=self._base))
                path.rename(gone / "gone")
                flush(self._base)
                shutil.rmtree(gone, ignore_errors=True)

    def _whole(self, name: str) -> Path:
        return self._base / f"{name}.snapshot"

    def _of(self, name: str) -> Path:
        return self._base / f"{name}.restoring"

    def _manifest(self, path: Path) -> Manifest:
        try:
            return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError) as error:
            raise Problem(f"the snapshot {path} cannot be read: {error}", mend="restore it from a backup") from error

    def _pack(self, path: Path, source: Path) -> tuple[str, int]:
        """Write an archive; return the digest and bytes of what was compressed."""
        tar = [*self._enter, require("tar"), *WRITE, *TAR, "--directory", str(source), "--file", "-", "."]
        import zstandard  # here, as it takes its time to load and few commands need it

        digest, size = hashlib.sha256(), 0
        packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file, _started(tar, path.parent.name, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with packer.stream_writer(file, closefd=False) as packed:
                while chunk := process.stdout.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    packed.write(chunk)
        return digest.hexdigest(), size


def _read(path: Path, out: IO[bytes] | None = None) -> tuple[str, int]:
    """Unpack an archive, to `out` if given; return the digest and bytes of what was in it.

    An archive that does not unpack has none of either.
    """
    import zstandard

    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as unpacked:
            while chunk := unpacked.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if out is not None:
                    out.write(chunk)
    except zstandard.ZstdError:
        return "", 0
    return digest.hexdigest(), size


def _forget(path: Path) -> None:
    """Have the kernel read a file from the disk the next time."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@contextmanager
def _started(
    command: Sequence[str], name: str, *, stdin: int = subprocess.DEVNULL, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program at work for a volume, and waited for. Raises `Problem` with what it said if it failed.

    It is ended if whoever talks to it gives up, and after `LONGEST`.
    """
    with (
        TemporaryFile() as said,
        subprocess.Popen(
            ["nice", "-n", "5", *command],
            stdin=stdin,
            stdout=stdout,
            stderr=said,
            env=os.environ | {"LC_ALL": "C"},
        ) as process,
    ):
        late = threading.Timer(LONGEST, process.kill)
        late.daemon = True
        late.start()
        try:
            yield process
            status = process.wait()
        finally:
            late.cancel()
            if process.poll() is None:
                process.kill()
        if status != 0:
            said.seek(0)
            raise Problem(
                f"tar failed with status {status} on {name}: {said.read()[-500:].decode(errors='replace').strip()}",
                mend="mend what it says; it is tried again",
                left="no data was removed",
            )


def _woken(name: str) -> Refused:
    return Refused(f"the volume {name} was not put away, as a server was started with it")


def _unwritten(name: str, error: OSError) -> Problem:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "the disk is full" if full else str(error.strerror)
    return Problem(
        f"the snapshot of {name} could not be written: {what}",
        mend="free some space" if full else "make the state directory writable",
        left="the volume is as it was",
    )
