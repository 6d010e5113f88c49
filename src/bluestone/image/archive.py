"""Finds the package archive that an image is built from: the one declared, or the one that the host's apt uses."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from bluestone.image.sources import Source, parse_deb822, parse_list
from bluestone.model.lock import LockedPackage
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
KEYRINGS = Path("/usr/share/keyrings")

MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""Debian's names of the machines that `uname -m` tells."""

ROLLING = {"sid", "unstable", "experimental"}
"""Suites that have no updates or security suite beside them."""


PLAIN = "/+~:"
"""What stands for itself in the path of a package, besides letters and digits (RFC 3986, section 3.3)."""


class _Distribution(Struct, frozen=True):
    name: str
    components: tuple[str, ...]
    keyring: str
    keyring_package: str
    fallback: str
    """The suite that `host_base` names on a host of another distribution."""


DISTRIBUTIONS = {
    "debian": _Distribution("debian", ("main",), "debian-archive-keyring.gpg", "debian-archive-keyring", "trixie"),
    "ubuntu": _Distribution("ubuntu", ("main", "universe"), "ubuntu-archive-keyring.gpg", "ubuntu-keyring", "noble"),
}


class ResolvedBase(Struct, frozen=True):
    """A base with everything that installing from its archive takes. `keyring` has the keys that sign it.

    `logins` has `user:password` of archives that want one, by their URIs, which have none in them themselves.
    """

    distribution: str
    suite: str
    architecture: str
    keyring: Path
    sources: tuple[Source, ...]
    logins: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        # Without the logins, which no message and no trace may show.
        return f"ResolvedBase({self.distribution}:{self.suite}/{self.architecture}, {self.sources!r})"

    @property
    def uris(self) -> dict[str, str]:
        """Where each archive is, by what a lock calls it: `main`, `security`, or its declared name."""
        return {source.archive: source.uri for source in self.sources}

    def uri(self, package: LockedPackage) -> str:
        """Where the file of a package is. Raises `KeyError` for an archive that this base has not."""
        return f"{self.uris[package.archive]}/{quote(package.path, safe=PLAIN)}"


class _Archive(Struct, frozen=True):
    main: str
    security: str
    keyring: Path


def of_recipe(recipe: Recipe) -> ResolvedBase:
    """The base of a recipe, with the archives that it declares beside it. Raises `Problem`."""
    base = resolve(recipe.base)
    declared = (
        Source(each.uri, each.suite, each.components, str(each.key), archive=each.name) for each in recipe.archives
    )
    return replace(base, sources=(*base.sources, *declared))


def resolve(base: Base, *, apt: Path = APT, os_release: Path = OS_RELEASE, keyrings: Path = KEYRINGS) -> ResolvedBase:
    """The archive and suites of a base. Raises `Problem` if none is known, or its keyring is missing."""
    distribution = DISTRIBUTIONS[base.distribution]
    default = keyrings / distribution.keyring
    archive = _declared(base, default) if base.archive else _of_host(base, default, apt, os_release)
    _require_keyring(archive.keyring, distribution)
    (main, login), (security, other) = without_login(archive.main), without_login(archive.security)
    sources = tuple(_suites(base.suite, replace(archive, main=main, security=security), distribution))
    logins = {uri: known for uri, known in ((main, login), (security, other)) if known}
    return ResolvedBase(base.distribution, base.suite, architecture(), archive.keyring, sources, logins)


def without_login(uri: str) -> tuple[str, str]:
    """A URI without user and password, and these, as they were written (`user:password`; "" if there are none)."""
    parts = urlsplit(uri)
    login, _, host = parts.netloc.rpartition("@")
    return (parts._replace(netloc=host).geturl() if login else uri), login


def host_base(os_release: Path = OS_RELEASE) -> Base:
    """The distribution and release of this host; Debian's stable one if the host is neither Debian nor Ubuntu."""
    told = _os_release(os_release)
    suite = told.get("VERSION_CODENAME")
    if told.get("ID") == "ubuntu":
        return Base("ubuntu", suite or DISTRIBUTIONS["ubuntu"].fallback)
    if told.get("ID") == "debian" and suite:
        return Base("debian", suite)
    return Base("debian", DISTRIBUTIONS["debian"].fallback)


def architecture(machine: str | None = None) -> str:
    """Debian's name of a machine (this one). Raises `Problem` for one that it has none for."""
    machine = platform.machine() if machine is None else machine
    if machine not in MACHINES:
        raise Problem(
            f"bluestone does not know Debian's name for a {machine} machine",
            mend=f"build on one of: {', '.join(MACHINES)}",
        )
    return MACHINES[machine]


def _suites(suite: str, archive: _Archive, distribution: _Distribution) -> Iterable[Source]:
    yield Source(archive.main, suite, distribution.components)
    if suite not in ROLLING:
        yield Source(archive.main, f"{suite}-updates", distribution.components)
        yield Source(archive.security, f"{suite}-security", distribution.components, archive="security")


def _declared(base: Base, keyring: Path) -> _Archive:
    assert base.archive
    main = base.archive.rstrip("/")
    if base.distribution == "ubuntu" or base.suite in ROLLING:
        return _Archive(main, main, keyring)
    # Debian's mirrors have the security archive beside the main one, under this name.
    head, slash, tail = main.rpartition("/debian")
    if not slash or (tail and not tail.startswith("/")):
        raise Problem(
            f"it cannot be told where the security updates of the archive {main} are",
            mend="name an archive whose path has a part /debian, and /debian-security beside it",
        )
    return _Archive(main, f"{head}/debian-security{tail}", keyring)


def _of_host(base: Base, keyring: Path, apt: Path, os_release: Path) -> _Archive:
    told = _os_release(os_release)
    if told.get("ID") != base.distribution:
        raise _no_archive(base, f"this host is not {base.distribution}")
    distribution, release = DISTRIBUTIONS[base.distribution], told.get("VERSION_CODENAME", "")
    own = [source for source in read_sources(apt) if _is_archive(source, distribution)]
    main = _first(own, release, distribution.name)
    if main is None:
        raise _no_archive(base, f"apt on this host has no source of {base.distribution} {release}".rstrip())
    security = _first(own, f"{release}-security", f"{distribution.name}-security")
    if security is None and base.distribution == "debian" and base.suite not in ROLLING:
        raise _no_archive(base, f"apt on this host has no source of {release}-security")
    return _Archive(main.uri, security.uri if security else main.uri, _path_or(main.signed_by, default=keyring))


def read_sources(apt: Path) -> list[Source]:
    """All sources below a directory such as /etc/apt. Lists of mirrors give their first one."""
    sources: list[Source] = []
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if path.is_file() and path.suffix in (".list", ".sources"):
            parse = parse_list if path.suffix == ".list" else parse_deb822
            sources += parse(path.read_text(errors="replace"))
    return [Source(_first_mirror(s.uri), s.suite, s.components, s.signed_by) for s in sources]


def _is_archive(source: Source, distribution: _Distribution) -> bool:
    """Whether this is the distribution's own archive, or a mirror of it, rather than a third party's."""
    if "main" not in source.components or source.uri.startswith("cdrom:"):
        return False
    ours = not source.signed_by or Path(source.signed_by).name.startswith(f"{distribution.name}-archive")
    return ours or _last_part(source.uri) in (distribution.name, f"{distribution.name}-security")


def _first(sources: Sequence[Source], suite: str, name: str) -> Source | None:
    """The first source of a suite; one whose path ends in the archive's usual name goes before others."""
    found = [source for source in sources if source.suite == suite]
    return min(found, key=lambda source: _last_part(source.uri) != name, default=None)


def _first_mirror(uri: str) -> str:
    """What `mirror+file:/PATH` stands for (apt-transport-mirror(1)), as Debian's cloud images have it."""
    if not uri.startswith("mirror+file:"):
        return uri
    try:
        lines = Path(urlsplit(uri).path).read_text().splitlines()
    except OSError:
        return uri
    named = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    return named[0].rstrip("/") if named else uri


def _last_part(uri: str) -> str:
    return urlsplit(uri).path.rpartition("/")[2]


def _path_or(signed_by: str, default: Path) -> Path:
    return Path(signed_by) if signed_by.startswith("/") else default


def _require_keyring(keyring: Path, distribution: _Distribution) -> None:
    if not keyring.is_file():
        raise Problem(
            f"the keys that {distribution.name}'s archive is signed with are not on this machine: {keyring}",
            mend=f"sudo apt-get install --no-install-recommends {distribution.keyring_package}",
        )


def _no_archive(base: Base, why: str) -> Problem:
    return Problem(
        f"no archive is known for {base.distribution}:{base.suite}: {why}",
        mend=f'name one: base = {{ distribution = "{base.distribution}", suite = "{base.suite}", '
        'archive = "https://..." }',
    )


def _os_release(path: Path) -> dict[str, str]:
    """os-release(5); empty if there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
