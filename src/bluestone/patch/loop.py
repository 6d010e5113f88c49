"""From exposures to their end: what is to be fixed, where, and what comes next. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from bluestone.model.bom import Bom, Component, Ecosystem
from bluestone.model.exposure import Exposure, Verdict
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.patching import PatchPolicy, Urgency
from bluestone.patch import policy
from bluestone.patch.policy import Deadline, Permission
from bluestone.patch.sources import origins
from bluestone.patch.versions import KEYS

Phase = Literal["rest", "wait", "prepare", "roll out", "close"]
"""`rest`: nothing is exposed to what could be fixed. `wait`: it may not begin now. `prepare`: a new lock and image, and
what differs. `close`: no server is exposed any more, and that is to be proved."""


class Fix(Struct, frozen=True):
    """A version that ends exposures: of a Debian *source* package, else of a component.

    `moves` are the source packages, as a lock names them, whose newer binaries bring it (a kernel's is the signed one).
    `installed` are the versions that images have, `advisories` all names of what it ends, `images` those exposed.
    `since` is when the fix became available, `due` the earliest deadline; both None if there is none. `urgent` says in
    which ways it is; `triage` whether traces of an attack are to be looked for as well.
    """

    ecosystem: Ecosystem
    package: str
    moves: tuple[str, ...]
    installed: tuple[str, ...]
    fixed: str
    advisories: tuple[str, ...]
    images: tuple[Digest, ...]
    since: datetime | None = None
    due: datetime | None = None
    urgent: tuple[Urgency, ...] = ()
    triage: bool = False

    @property
    def key(self) -> str:
        """What is fixed, by what: `deb:openssl 3.5.1-1+deb13u2`."""
        return f"{self.ecosystem}:{self.package} {self.fixed}"


class Scope(Struct, frozen=True):
    """What a patch is about: the groups it may touch, and the advisory that it is for (None: all)."""

    groups: tuple[Group, ...]
    advisory: str | None = None


def fixes(
    exposures: Iterable[Exposure],
    declared: PatchPolicy,
    runs: Mapping[Digest, Iterable[Group]],
    scope: Scope,
    now: datetime,
) -> tuple[Fix, ...]:
    """What is to be fixed in the scope, what is due first coming first. What is waived, or has no fix, is not.

    `runs` are the groups that run each image.
    """
    wanted: dict[tuple[Ecosystem, str], list[tuple[Exposure, Deadline]]] = {}
    touched = {group.name for group in scope.groups}
    for each in exposures:
        groups = [group for group in runs.get(each.image, ()) if group.name in touched]
        if each.verdict is not Verdict.AFFECTED_WITH_FIX or not groups or not _is_of(each, scope.advisory):
            continue
        what = each.source if each.component.ecosystem == "deb" else each.component.name
        due = policy.of_exposure(declared, each, groups)
        wanted.setdefault((each.component.ecosystem, what or each.component.name), []).append((each, due))
    made = [_fix(*what, found, now) for what, found in wanted.items()]
    return tuple(sorted(made, key=lambda fix: (fix.due is None, fix.due and fix.due.timestamp(), fix.key)))


def next_phase(*, exposed: Iterable[str], begun: bool, prepared: bool, permission: Permission) -> tuple[Phase, str]:
    """What comes next, and why.

    `exposed` are servers that run an image with something to fix, `begun` whether a patch was begun and has not ended,
    `prepared` whether its image was built and compared. What was begun goes on whatever the hour.
    """
    servers = list(exposed)
    if not servers:
        return ("close", "no server is exposed any more") if begun else ("rest", "no server is exposed to it")
    if prepared:
        return "roll out", f"{len(servers)} servers are exposed"
    if not begun and not permission.allowed:
        return "wait", permission.why
    return "prepare", f"{len(servers)} servers are exposed"


def open_in(fix: Fix, bom: Bom) -> bool:
    """Whether an image with this bill still has what a fix is for, in a version before the fixed one.

    A version that cannot be compared counts as before.
    """
    held = [version for c in bom.components if c.ecosystem == fix.ecosystem for version in _versions_of(fix.package, c)]
    return not all(reached(fix.ecosystem, version, fix.fixed) for version in held)


def newest(ecosystem: Ecosystem, versions: Iterable[str]) -> str:
    """The newest of versions by the ecosystem's rules; what is no version there is older than all that are."""
    return max(versions, key=_order(ecosystem))


def reached(ecosystem: Ecosystem, version: str, fixed: str) -> bool:
    """Whether a version is the fixed one, or newer."""
    key = _order(ecosystem)
    return bool(key(version) >= key(fixed))


def _fix(ecosystem: Ecosystem, package: str, found: list[tuple[Exposure, Deadline]], now: datetime) -> Fix:
    dues = [due.at for _, due in found if due.at is not None]
    sinces = [each.since for each, _ in found if each.since is not None]
    installed = {each.component.source_version or each.component.version for each, _ in found}
    return Fix(
        ecosystem,
        package,
        tuple(sorted({each.component.source or each.component.name for each, _ in found})),
        tuple(sorted(installed)),
        newest(ecosystem, {each.fixed for each, _ in found}),
        tuple(sorted({name for each, _ in found for name in each.advisory.names})),
        tuple(sorted({each.image for each, _ in found})),
        min(sinces, default=None),
        min(dues, default=None),
        tuple(sorted(policy.urgencies(found, now))),
        any(due.triage for _, due in found),
    )


def _versions_of(package: str, component: Component) -> Iterator[str]:
    """In which versions a component is, or was built from, a package of that name."""
    if component.ecosystem != "deb" and component.name == package:
        yield component.version
    for origin in origins(component):
        if origin.name == package and origin.how != "built using":
            yield origin.version


def _is_of(exposure: Exposure, advisory: str | None) -> bool:
    return advisory is None or advisory.lower() in {name.lower() for name in exposure.advisory.names}


def _order(ecosystem: Ecosystem) -> Callable[[str], tuple[bool, Any]]:
    def key(version: str) -> tuple[bool, Any]:
        try:
            return True, KEYS[ecosystem](version)
        except ValueError:
            return False, version

    return key
