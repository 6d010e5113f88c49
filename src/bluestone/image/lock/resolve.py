"""Resolves what is asked for to exact packages: by apt itself, which sees the declared archives and nothing else.

The order is mmdebstrap's: the essential packages first, then those of priority required with apt, then what is asked
for, then each tool on top of all that. Each step takes what the one before came to for installed, so that the base
is the same whatever is asked for beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from bluestone.host.commands import require
from bluestone.image.apt import Apt, isolated
from bluestone.image.lock import index, trouble
from bluestone.image.lock.archives import Archives
from bluestone.image.lock.index import Index, Stanza
from bluestone.image.lock.pins import KEEP, Upgrade, blamed, preferences, suite_of
from bluestone.image.lock.wanted import Wanted
from bluestone.image.packagestore import PackageStore
from bluestone.image.repository import describe, write_index
from bluestone.image.repository import source_line as repository_line
from bluestone.model.lock import LOCAL, Lock, LockedPackage, Release
from bluestone.model.problem import Problem

Progress = Callable[[str], None]

ALWAYS = "apt"
"""What every base has besides what is essential or required; so does mmdebstrap's variant `minbase`."""

KEPT = "kept"
"""The archive of packages that are here and nowhere else: pinned ones that the archives dropped, and local files."""


def resolve(
    wanted: Wanted,
    store: PackageStore,
    progress: Progress,
    *,
    old: Lock | None = None,
    upgrade: Upgrade = KEEP,
    lists: Path | None = None,
) -> Lock:
    """The lock of what is wanted; all its packages are in the store then.

    `lists` is where `published` has just kept what the archives have: they are not asked once more then. Pins of
    `old` that `upgrade` does not move are kept, unless something that is asked for needs another version. Raises
    `Problem` and `Problems`: an archive that cannot be reached or trusted, packages that are lost or unknown.
    """
    for tool in ("apt-get", "dpkg-deb", "setpriv"):
        require(tool)
    if old is not None and (unknown := upgrade.unknown(old)):
        raise Problem(
            f"the lock has no package, binary or source, called {', '.join(unknown)}",
            mend="correct the name; to install something new, write it into image.packages",
        )
    with isolated(wanted.base) as apt, store.in_use():
        lock = _Resolution(apt, wanted, store, progress, old, upgrade).lock(lists)
        store.ensure(lock.every, wanted.base, progress)
    return lock


class _Resolution:
    """One resolution under way, in a room of apt's."""

    def __init__(
        self, apt: Apt, wanted: Wanted, store: PackageStore, progress: Progress, old: Lock | None, upgrade: Upgrade
    ) -> None:
        self._apt, self._wanted, self._store, self._progress = apt, wanted, store, progress
        self._archives = Archives(apt, wanted.base)
        # Pins of another base or architecture have no meaning.
        fits = old is not None and (old.base, old.architecture) == (wanted.name, wanted.base.architecture)
        self._old = old if fits else None
        self._settled = old.every if old and fits else ()
        self._upgrade = upgrade
        self._kept: dict[str, LockedPackage] = {}

    def lock(self, lists: Path | None) -> Lock:
        """Ask apt, and keep what may be kept."""
        if lists is None:
            self._progress(f"asking the archives of {self._wanted.name} for {len(self._wanted.asked)} packages")
        self._archives.update(lists)
        indexes = self._archives.indexes()
        local = self._take_local_files()
        pinned = {p.key: p for p in self._settled if p.archive != LOCAL and not self._upgrade.moves(p)}
        lost = self._keep(pinned, local, indexes)
        indexes += self._kept_index()
        solution = self._solve(indexes, dict(pinned), local)
        self._refuse_lost(lost, pinned, solution)
        return self._assembled(solution)

    def _take_local_files(self) -> list[LockedPackage]:
        """The declared .debs, taken into the store."""
        taken = []
        for name, path in sorted(self._wanted.debs.items()):
            sha256 = self._store.add(path)
            stanza = Stanza(describe(path, sha256))
            package = index.locked(stanza, name, LOCAL, LOCAL)
            fits = package.architecture in ("all", self._wanted.base.architecture)
            if not fits:
                raise Problem(
                    f"{name} is for {package.architecture}, and the image for {self._wanted.base.architecture}",
                    mend="correct image.debs",
                )
            taken.append(package)
        return taken

    def _keep(
        self, pinned: Mapping[str, LockedPackage], local: Sequence[LockedPackage], indexes: Sequence[Index]
    ) -> set[str]:
        """Have apt see pinned packages that only the store has left; return the keys of those that nobody has."""
        names = {package.name for package in pinned.values()}
        offered = {version for each in indexes for version in each.versions(names)}
        dropped = [p for p in pinned.values() if (p.name, p.version, p.architecture) not in offered]
        lost = {package.key for package in self._store.missing(dropped)}
        kept = [*local, *(package for package in dropped if package.key not in lost)]
        if kept:
            repository = self._apt.directory / KEPT
            repository.mkdir()
            write_index(repository, kept, self._store)
            (self._apt.sources / "kept.list").write_text(repository_line(repository, "file"))
            # Only this one is read; the lists of the others stay as they are.
            only = [
                *("-o", f"Dir::Etc::sourcelist={self._apt.sources / 'kept.list'}"),
                *("-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0"),
            ]
            ending = self._apt.run(["apt-get", "update", *only])
            if ending.status:
                raise trouble.of_update(ending.tail, self._wanted.base)
            self._kept = {f"{package.sha256}.deb": package for package in kept}
        return lost

    def _kept_index(self) -> list[Index]:
        repository = self._apt.directory / KEPT
        if not self._kept:
            return []
        found = index.stanzas((repository / "Packages").read_text())
        return [Index(KEPT, KEPT, f"file:{repository}", found)]

    def _solve(
        self, indexes: Sequence[Index], pinned: dict[str, LockedPackage], local: Sequence[LockedPackage]
    ) -> _Solution:
        """Ask apt; where a pin is in the way of what is asked for, let that one go and ask again."""
        while True:
            security = self._security_suite() if self._upgrade.security else []
            pins = [preferences(pinned.values(), security), preferences(local)]
            self._apt.preferences.write_text("\n".join(pins))
            try:
                return self._solution(indexes, local)
            except trouble.Unsolvable as unsolvable:
                guilty = blamed(unsolvable.said, pinned.values())
                if not guilty:
                    raise trouble.of_install(unsolvable.said, self._wanted.base) from unsolvable
                for key in guilty:
                    del pinned[key]

    def _solution(self, indexes: Sequence[Index], local: Sequence[LockedPackage]) -> _Solution:
        own = [each for each in indexes if each.archive == "main" and each.suite == self._wanted.base.suite]
        essential = {name for each in own for name in each.names("Essential: yes")}
        required = {name for each in own for name in each.names("Priority: required")}
        base = self._installed([], essential, indexes)
        base += self._installed(base, required - essential | {ALWAYS}, indexes)
        asked = {*self._wanted.asked, *(package.name for package in local)}
        rest = self._installed(base, asked, indexes)
        tools = {
            tool: self._installed([*base, *rest], names, indexes) for tool, names in sorted(self._wanted.tools.items())
        }
        return _Solution(base, rest, tools)

    def _installed(self, there: Sequence[_Choice], names: Iterable[str], indexes: Sequence[Index]) -> list[_Choice]:
        """What apt would install of these names, and what they need, where `there` is installed."""
        self._apt.status.write_text(index.installed(choice.stanza.text for choice in there))
        ending = self._apt.run(install(sorted(names)))
        if ending.status:
            raise trouble.Unsolvable(ending.tail)
        # apt may take what is installed for another build of the same version, and offer it once more.
        known = {choice.package.sha256 for choice in there}
        choices = [self._choice(uri, indexes) for uri in uris(ending.tail)]
        return [choice for choice in choices if choice.package.sha256 not in known]

    def _choice(self, uri: str, indexes: Sequence[Index]) -> _Choice:
        """The package that apt would fetch from here."""
        for each in indexes:
            path = uri.removeprefix(f"{each.uri}/").removeprefix("./")
            if path in each.stanzas and uri.startswith(each.uri):
                stanza = each.stanzas[path]
                if each.archive == KEPT:
                    return _Choice(self._kept[path], stanza)
                return _Choice(index.locked(stanza, path, each.archive, each.suite), stanza)
        raise Problem(f"apt chose a package that no archive names: {uri}", mend="report this, with the declaration")

    def _refuse_lost(self, lost: set[str], pinned: Mapping[str, LockedPackage], solution: _Solution) -> None:
        needed = {choice.package.key for choice in solution.every()}
        gone = sorted(lost & needed)
        if gone:
            names = [pinned[key].name for key in gone]
            listed = ", ".join(f"{pinned[key].name} {pinned[key].version}" for key in gone[:20])
            raise Problem(
                f"{len(gone)} packages of the lock are lost: neither the package store nor the archive has {listed}",
                mend=f"let them move, and look at what changes: bluestone lock --upgrade {' '.join(names[:20])}",
                left="the lock is as it was",
            )

    def _assembled(self, solution: _Solution) -> Lock:
        settled = {package.key: package for package in self._settled}

        def pick(choice: _Choice) -> LockedPackage:
            """The old record where it is the same version: an archive may move a file, or put another in its place."""
            package, was = choice.package, settled.get(choice.package.key)
            same = was is not None and was.version == package.version and LOCAL not in (was.archive, package.archive)
            if was is not None and same and not (self._upgrade.moves(was) and was.sha256 != package.sha256):
                return replace(was, required=False)
            return package

        packages = [replace(pick(choice), required=True) for choice in solution.base]
        packages += [pick(choice) for choice in solution.rest]
        tools = {tool: _ordered(map(pick, choices)) for tool, choices in solution.tools.items()}
        every = [*packages, *(package for those in tools.values() for package in those)]
        releases = self._releases(every)
        return Lock(
            base=self._wanted.name,
            architecture=self._wanted.base.architecture,
            date=max((int(release.date.timestamp()) for release in releases), default=0),
            asked=tuple(sorted(self._wanted.asked)),
            releases=releases,
            packages=_ordered(packages),
            inputs=dict(self._wanted.inputs),
            tools=tools,
        )

    def _releases(self, packages: Iterable[LockedPackage]) -> tuple[Release, ...]:
        """The releases of today; those of the old lock if nothing comes from today's."""
        old = self._old
        suites = {(source.archive, source.suite) for source in self._wanted.base.sources}
        if old is not None and suites == {(release.archive, release.suite) for release in old.releases}:
            known = {(package.key, package.sha256) for package in old.every}
            if all((package.key, package.sha256) in known for package in packages if package.archive != LOCAL):
                return old.releases
        return self._archives.releases()

    def _security_suite(self) -> list[str]:
        source = next((each for each in self._wanted.base.sources if each.archive == "security"), None)
        if source is None:
            raise Problem(
                f"{self._wanted.name} has no security suite: its fixes come with everything else",
                mend="bluestone lock --upgrade",
            )
        return suite_of(index.signed_text(self._archives.release_text(source)).partition("\nSHA256:")[0])


class _Choice(Struct, frozen=True):
    """A package that apt chose, and how its index describes it."""

    package: LockedPackage
    stanza: Stanza


class _Solution(Struct, frozen=True):
    base: list[_Choice]
    rest: list[_Choice]
    tools: dict[str, list[_Choice]]

    def every(self) -> Iterable[_Choice]:
        """All of them, the tools' among them."""
        return [*self.base, *self.rest, *(choice for choices in self.tools.values() for choice in choices)]


def install(names: Sequence[str]) -> list[str]:
    """The command that prints what would be fetched to install these packages, and does nothing."""
    options = ("--yes", "--no-remove", "--print-uris", "-o", "Acquire::ForceHash=sha256")
    return ["apt-get", *options, "install", "--", *names]


def uris(said: Iterable[str]) -> list[str]:
    """The URIs that `apt-get --print-uris` printed: `'URI' name size hash` each."""
    found = (re.match(r"'([^']+)' \S+ \d+ ", line) for line in said)
    return [unquote(match[1]) for match in found if match]


def _ordered(packages: Iterable[LockedPackage]) -> tuple[LockedPackage, ...]:
    return tuple(sorted(packages, key=lambda package: package.key))
