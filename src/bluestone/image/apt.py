"""apt in a room of its own: it knows the archives that it is told of, and nothing of this machine's own packages.

Configuration, sources and argument lists are data; `Apt.run` is the edge. The host's apt is left alone: its sources,
preferences, trusted keys and installed packages are not seen. Only its proxies and the credentials for its mirrors
are, so that what the host's apt can reach can be reached.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from bluestone.image.archive import ResolvedBase
from bluestone.image.child import Ending, follow
from bluestone.model.problem import Problem

PASSED = ("PATH", "HOME", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What apt gets of this process's environment."""

HELPER = "/usr/lib/apt/apt-helper"

HOST_NETRC = Path("/etc/apt/auth.conf")
"""The host's credentials for its mirrors, besides those in auth.conf.d."""

SANDBOX_USER = "_apt"
"""The user that apt becomes, when it is root, to speak with an archive (APT::Sandbox::User)."""

LIMIT = 1800.0
"""Seconds for one command; what it fetches may come over a slow line."""

MAX_LINES = 200_000
"""Lines kept of what a command says, so that memory is bounded; apt prints one for each package."""

UNREACHABLE = re.compile(
    r"Could not (connect|resolve)|Connection (failed|refused|timed out|reset)|Temporary failure resolving|"
    r"Unable to connect|Cannot initiate the connection|No route to host|Network is unreachable|"
    r"Failed to connect|Name or service not known"
)
DISK_FULL = re.compile(r"No space left on device|[Qq]uota exceeded|don't have enough free space")


class Apt(Struct, frozen=True):
    """An apt whose world is below `directory`."""

    directory: Path
    architecture: str

    @property
    def sources(self) -> Path:
        """Where its sources are: files in sources.list(5)'s formats."""
        return self.directory / "etc/apt/sources.list.d"

    @property
    def preferences(self) -> Path:
        """Its pins (apt_preferences(5))."""
        return self.directory / "etc/apt/preferences"

    @property
    def keyrings(self) -> Path:
        """Copies of keyrings, which its sandboxed user can read."""
        return self.directory / "etc/apt/keyrings"

    @property
    def lists(self) -> Path:
        """The archives' indexes, once they are fetched."""
        return self.directory / "var/lib/apt/lists"

    @property
    def status(self) -> Path:
        """The packages that it takes for installed: none, to begin with."""
        return self.directory / "var/lib/dpkg/status"

    @property
    def downloads(self) -> Path:
        """Where it may put what it fetches."""
        return self.directory / "downloads"

    def run(self, command: Sequence[str], hear: Callable[[str], object] = lambda _: None) -> Ending:
        """Run one of apt's programs to its end, and return all that it said; `hear` gets each line.

        Raises `Problem` if it does not end in time.
        """
        # Ends with the thread that started it, however that ends.
        bound = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        said: deque[str] = deque(maxlen=MAX_LINES)

        def keep(line: str) -> None:
            said.append(line)
            hear(line)

        ending = follow(bound, keep, timeout=LIMIT, environment=environment(self.directory, os.environ))
        if ending.status is None:
            raise Problem(
                f"apt did not end within {LIMIT:g} s{ending.quoted()}",
                mend="try again when the archive answers faster, or name another in image.base",
            )
        return replace(ending, tail=tuple(said))


@contextmanager
def isolated(base: ResolvedBase) -> Iterator[Apt]:
    """An apt with neither sources nor packages, and its directory, which is removed afterwards.

    The directory is in $TMPDIR or /var/tmp, as root's sandboxed user cannot enter bluestone's own.
    """
    parent = Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108 - mkdtemp makes it safe
    with tempfile.TemporaryDirectory(prefix="bluestone-apt-", dir=parent, ignore_cleanup_errors=True) as made:
        apt = Apt(Path(made), base.architecture)
        # An archive of files on this machine may be where only root can read.
        _furnish(apt, base.logins, sandboxed=not any(source.uri.startswith("file:") for source in base.sources))
        yield apt


def _furnish(apt: Apt, logins: Mapping[str, str], *, sandboxed: bool) -> None:
    apt.directory.chmod(0o755)
    partial = (apt.lists / "partial", apt.directory / "var/cache/apt/archives/partial", apt.downloads)
    parts = ("apt.conf.d", "preferences.d", "trusted.gpg.d")
    others = (apt.sources, apt.keyrings, apt.status.parent, *(apt.directory / "etc/apt" / part for part in parts))
    for directory in (*partial, *others):
        directory.mkdir(parents=True, exist_ok=True)
    apt.status.touch()
    netrc = apt.directory / "auth.conf"
    netrc.touch(mode=0o600)
    netrc.write_text(credentials(logins, _read(HOST_NETRC)))
    user = SANDBOX_USER if sandboxed else "root"
    lines = [*host_proxies(), f'APT::Sandbox::User "{user}";']
    (apt.directory / "apt.conf").write_text(configuration(apt.directory, apt.architecture, lines))
    if os.geteuid() == 0 and sandboxed:
        try:
            owner = pwd.getpwnam(SANDBOX_USER).pw_uid
        except KeyError:
            return  # Without that user apt does not sandbox itself.
        for directory in partial:
            os.chown(directory, owner, -1)


def configuration(directory: Path, architecture: str, more: Iterable[str]) -> str:
    """The whole configuration (apt.conf(5)) of an apt whose world is below `directory`."""
    lines = [
        f'Dir "{directory}/";',
        f'Dir::State::status "{directory}/var/lib/dpkg/status";',
        # The host's credentials for its mirrors: apt reads them before it gives up root.
        f'Dir::Etc::netrc "{directory}/auth.conf";',
        'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";',
        f'APT::Architecture "{architecture}";',
        f'APT::Architectures {{ "{architecture}"; }};',
        'APT::Install-Recommends "false";',
        'APT::Install-Suggests "false";',
        'APT::Get::AllowUnauthenticated "false";',
        'APT::Update::Error-Mode "any";',
        'Acquire::AllowInsecureRepositories "false";',
        'Acquire::AllowWeakRepositories "false";',
        'Acquire::AllowDowngradeToInsecureRepositories "false";',
        'Acquire::Check-Valid-Until "true";',
        'Acquire::Languages "none";',
        'Acquire::PDiffs "false";',
        'Acquire::Retries "2";',
        'Acquire::http::Timeout "30";',
        'Acquire::https::Timeout "30";',
        *more,
    ]
    return "".join(f"{line}\n" for line in lines)


def credentials(logins: Mapping[str, str], host: str) -> str:
    """A file of credentials (apt_auth.conf(5)): the host's, and those that its sources have in URIs.

    So they are neither in an argument list nor in what apt says.
    """
    pairs = ((uri, login.partition(":")) for uri, login in sorted(logins.items()))
    lines = [
        f"machine {uri} login {unquote(user)} password {unquote(password)}\n" for uri, (user, _, password) in pairs
    ]
    return "".join(lines) + host


def environment(directory: Path, ours: Mapping[str, str]) -> dict[str, str]:
    """What apt knows of the world."""
    known = {name: ours[name] for name in PASSED if name in ours}
    return known | {"APT_CONFIG": f"{directory}/apt.conf", "LC_ALL": "C.UTF-8", "TMPDIR": str(directory)}


def host_proxies() -> list[str]:
    """The lines of this host's apt configuration that name proxies; none if apt cannot tell."""
    if shutil.which("apt-config") is None:
        return []
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False, timeout=30)
    return re.findall(r"^Acquire::https?::[Pp]roxy\S* \".+\";$", done.stdout, re.MULTILINE)


def fetch(items: Iterable[tuple[str, Path, str]]) -> list[str]:
    """The command that fetches files: each has its URI, its target and its SHA-256, which apt checks."""
    words = [word for uri, target, sha256 in items for word in (uri, str(target), f"SHA256:{sha256}")]
    return [HELPER, "download-file", *words]


def failures(lines: Iterable[str]) -> dict[str, str]:
    """URI, without its percent-encoding, -> why apt could not fetch it."""
    found = {}
    for line in lines:
        if match := re.match(r"E: Failed to fetch (\S+)\s+(.+)", line):
            # apt writes file:///x as file:/x.
            found[re.sub("^(file|copy):/+", r"\1:///", unquote(match[1]))] = match[2]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # It is not there, or not ours to read.
