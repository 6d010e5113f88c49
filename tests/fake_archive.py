"""Package archives that a test makes and signs itself: tiny packages, a key of its own, served on loopback."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from msgspec import Struct

from bluestone.image.archive import ResolvedBase, architecture
from bluestone.image.sources import Source

SUITE = "trixie"
ARCHITECTURE = architecture()


class Deb(Struct, frozen=True):
    """A package with nothing in it but one file, its changelog if it has one, and `files`: path and text each."""

    name: str
    version: str = "1.0"
    depends: str = ""
    priority: str = "optional"
    essential: bool = False
    source: str = ""
    more: str = ""
    changelog: str = ""
    files: tuple[tuple[str, str], ...] = ()

    @property
    def control(self) -> str:
        lines = [
            f"Package: {self.name}",
            *([f"Source: {self.source}"] if self.source else []),
            f"Version: {self.version}",
            f"Architecture: {ARCHITECTURE}",
            "Maintainer: Nobody <nobody@example.org>",
            "Installed-Size: 1",
            *([f"Depends: {self.depends}"] if self.depends else []),
            *(["Essential: yes"] if self.essential else []),
            f"Priority: {self.priority}",
            "Section: misc",
            *([self.more] if self.more else []),
            "Description: made for a test",
        ]
        return "".join(f"{line}\n" for line in lines)

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.rpartition(':')[2]}_{ARCHITECTURE}.deb"  # a pool has no epochs in its names

    def build(self, directory: Path) -> Path:
        """The package as a file in a directory."""
        target = directory / self.file
        with tempfile.TemporaryDirectory() as made:
            root = Path(made) / "root"
            (root / "DEBIAN").mkdir(parents=True)
            (root / "DEBIAN/control").write_text(self.control)
            (root / f"usr/share/{self.name}").mkdir(parents=True)
            (root / f"usr/share/{self.name}/version").write_text(self.version)
            for path, text in self.files:
                (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                (root / path.lstrip("/")).write_text(text)
            if self.changelog:
                (root / f"usr/share/doc/{self.name}").mkdir(parents=True)
                packed = gzip.compress(self.changelog.encode(), mtime=0)
                (root / f"usr/share/doc/{self.name}/changelog.Debian.gz").write_bytes(packed)
            command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(target)]
            # The same package is the same bytes, whenever it is built.
            dated = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
            subprocess.run(command, check=True, capture_output=True, env=dated)
        return target


BASE = (
    Deb("libc6", "2.41-12", priority="optional", source="glibc"),
    Deb("base-files", "13.8", depends="libc6 (>= 2.41)", priority="required", essential=True),
    Deb("dpkg", "1.22", priority="required", essential=True),
    Deb("tzdata", "2026a", priority="required"),
    Deb("apt", "3.0", depends="libapt", priority="important"),
    Deb("libapt", "3.0", source="apt"),
)
"""A base in little: essential packages, one of priority required, apt, and what they depend on."""


@dataclass
class Key:
    """A signing key in a GNUPGHOME of its own."""

    home: Path
    keyring: Path

    def clearsign(self, text: str) -> str:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--digest-algo", "SHA512", "--clearsign"]
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


@contextmanager
def key(*, armour: bool = False) -> Iterator[Key]:
    """A new key; its agent is ended and its files are removed afterwards."""
    # A short path: the agent's socket is there.
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/var/tmp"))
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    try:
        made = [*gpg, "--passphrase", "", "--quick-gen-key", "Test <test@example.org>", "ed25519", "sign", "never"]
        subprocess.run(made, check=True, capture_output=True)
        keyring = home / ("key.asc" if armour else "key.gpg")
        exported = [*gpg, *(["--armor"] if armour else []), "--output", str(keyring), "--export"]
        subprocess.run(exported, check=True, capture_output=True)
        yield Key(home, keyring)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Archives:
    """Archives below a directory that is served: `debian`, `debian-security`, and whatever else is published."""

    directory: Path
    address: str
    key: Key
    published: dict[tuple[str, str], tuple[Deb, ...]] = field(default_factory=dict)
    stop: Callable[[], None] = lambda: None
    made: float = 0.0

    def publish(
        self,
        archive: str,
        suite: str,
        debs: Sequence[Deb],
        *,
        key: Key | str | None = "own",
        date: datetime | None = None,
        valid_for: timedelta | None = timedelta(days=7),
        label: str = "",
    ) -> None:
        """Make a suite of an archive hold these packages and no others. `key` None leaves it unsigned."""
        root = self.directory / archive
        flat = suite.endswith("/")
        pool = root / "pool" / suite.strip("./")
        shutil.rmtree(pool, ignore_errors=True)
        pool.mkdir(parents=True)
        stanzas = []
        for deb in debs:
            content = deb.build(pool).read_bytes()
            path = (pool / deb.file).relative_to(root)
            stanzas.append(
                f"{deb.control}Filename: {path}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
            )
        place = root / suite.strip("/") if flat else root / "dists" / suite
        index = "Packages" if flat else f"main/binary-{ARCHITECTURE}/Packages"
        text = "\n".join(stanzas).encode()
        for name, packed in ((index, text), (f"{index}.gz", gzip.compress(text, mtime=0))):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(packed)
        date = date or datetime.now(UTC)
        release = self._release(suite, place, index, date, valid_for, label)
        for name in ("InRelease", "Release"):
            (place / name).unlink(missing_ok=True)
        signer = self.key if key == "own" else key
        if isinstance(signer, Key):
            (place / "InRelease").write_text(signer.clearsign(release))
        else:
            (place / "Release").write_text(release)
        # HTTP tells times by the second: what is published twice within one would be taken for unchanged.
        self.made = max(datetime.now(UTC).timestamp(), self.made + 2)
        for file in place.rglob("*"):
            os.utime(file, (self.made, self.made))
        self.published[archive, suite] = tuple(debs)

    def _release(
        self, suite: str, place: Path, index: str, date: datetime, valid_for: timedelta | None, label: str
    ) -> str:
        form = "%a, %d %b %Y %H:%M:%S UTC"
        name = suite.strip("./") or "flat"
        lines = [f"Origin: Test\nLabel: {label or 'Test'}\nSuite: {name}\nCodename: {name}\nDate: {date:{form}}"]
        if valid_for is not None:
            lines.append(f"Valid-Until: {date + valid_for:{form}}")
        lines += [f"Architectures: {ARCHITECTURE}", "Components: main", "SHA256:"]
        for path in (index, f"{index}.gz"):
            content = (place / path).read_bytes()
            lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}")
        return "".join(f"{line}\n" for line in lines)

    def base(self, *more: Source) -> ResolvedBase:
        """The base that these archives make, with further archives."""
        sources = (
            Source(f"{self.address}/debian", SUITE, ("main",)),
            Source(f"{self.address}/debian-security", f"{SUITE}-security", ("main",), archive="security"),
            *more,
        )
        return ResolvedBase("debian", SUITE, ARCHITECTURE, self.key.keyring, sources)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    login = ""

    def do_GET(self) -> None:
        """Serve a file, to whoever has the login if there is one."""
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if self.login and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="archive"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def archives(directory: Path, key: Key, login: str = "") -> Iterator[Archives]:
    """Archives served while the context lasts, to whoever has the login (`user:password`) if one is given."""
    handler = type("_Handler", (_Quiet,), {"login": login})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=os.fspath(directory)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    try:
        yield Archives(directory, f"http://127.0.0.1:{server.server_address[1]}", key, stop=stop)
    finally:
        stop()
