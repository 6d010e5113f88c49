"""Exposures by where they stand, and what is to be done: the board that a person reads. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, get_args

from msgspec import Struct

from bluestone.model.advisory import Severity
from bluestone.model.exposure import AFFECTED, Assessment, Exposure, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.assess import RANKS
from bluestone.patch.policy import Deadline, Standing, standing
from bluestone.patch.versions import KEYS

ORDER: tuple[Standing, ...] = ("overdue", "due", "someday", "no fix", "unknown", "waived")
assert set(ORDER) == set(get_args(Standing))
EXIT = {"clean": 0, "affected": 2, "unknown": 3}
"""What `bluestone exposures` exits with, by the outcome: pipelines rely on it."""


class Board(Struct, frozen=True, dict=True):
    """An assessment with the deadlines of its exposures, in the same order; `groups` run each image."""

    project: str
    assessment: Assessment
    deadlines: tuple[Deadline, ...]
    groups: Mapping[Digest, tuple[str, ...]]

    @cached_property
    def standings(self) -> tuple[Standing | None, ...]:
        """Where each exposure stands, in the same order; None for one that is none."""
        pairs = zip(self.assessment.exposures, self.deadlines, strict=True)
        return tuple(standing(each, due, self.assessment.at) for each, due in pairs)

    def each(self) -> Iterator[tuple[Exposure, Deadline, Standing | None]]:
        """Exposures with their deadlines and where they stand."""
        return zip(self.assessment.exposures, self.deadlines, self.standings, strict=True)

    def tally(self) -> dict[Standing, int]:
        """How many packages of how many images stand where, as `rows` has them."""
        found = Counter(row.standing for row in rows(self))
        return {each: found[each] for each in ORDER}


class Row(Struct, frozen=True):
    """A version of a package, in all images that have it, and what is to be done about it.

    `package` of Debian is the source. `fixed` is the version that mends all that is known, "" if nothing does; `since`
    and `due` are the earliest. `names` are CVE numbers, or an advisory's own name where it has none.
    """

    standing: Standing
    ecosystem: str
    package: str
    version: str
    fixed: str
    names: tuple[str, ...]
    severity: Severity
    exploited: bool
    epss: float | None
    since: datetime | None
    due: Deadline
    why: str
    images: tuple[Digest, ...]
    servers: tuple[str, ...]
    groups: tuple[str, ...]


def rows(board: Board) -> list[Row]:
    """The board: the most pressing first."""
    gathered: dict[tuple[Standing, str, str, str], list[tuple[Exposure, Deadline]]] = {}
    for each, due, where in board.each():
        if where is not None:
            name, version = named(each)
            gathered.setdefault((where, each.component.ecosystem, name, version), []).append((each, due))
    found = [_row(key, those, board) for key, those in gathered.items()]
    return sorted(found, key=_pressing)


def named(each: Exposure) -> tuple[str, str]:
    """Name and version by which a package is known to those who mend it: of Debian, its source's."""
    component = each.component
    if component.ecosystem == "deb" and each.source in ("", component.source):
        return component.source or component.name, component.source_version or component.version
    if component.ecosystem == "deb":
        return each.source, component.source_version
    return component.name, component.version


def highest(ecosystem: str, versions: Iterable[str]) -> str:
    """The highest of versions; of those that cannot be compared, the last."""
    key: Any = KEYS[ecosystem]  # type: ignore[index]  # a component's
    found = ""
    for version in versions:
        try:
            found = version if not found or key(version) > key(found) else found
        except ValueError:
            found = version
    return found


def _row(key: tuple[Standing, str, str, str], those: list[tuple[Exposure, Deadline]], board: Board) -> Row:
    where, ecosystem, package, version = key
    exposures = [each for each, _ in those]
    advisories = [each.advisory for each in exposures]
    images = sorted({each.image for each in exposures})
    dues = [due for _, due in those if due.at]
    reasons = list(dict.fromkeys(each.why for each in exposures))
    return Row(
        standing=where,
        ecosystem=ecosystem,
        package=package,
        version=version,
        fixed=highest(ecosystem, sorted({each.fixed for each in exposures if each.fixed})),
        names=tuple(sorted({name for each in advisories for name in (each.cves or (each.id,))})),
        severity=max((each.severity for each in advisories), key=RANKS.index),
        exploited=any(each.exploited for each in advisories),
        epss=max((each.epss for each in advisories if each.epss is not None), default=None),
        since=min((each.since for each in exposures if each.since), default=None),
        due=min(dues, key=lambda due: due.at or board.assessment.at, default=those[0][1]),
        why=reasons[0],
        images=tuple(images),
        servers=tuple(sorted({name for image in images for name in board.assessment.servers.get(image, ())})),
        groups=tuple(sorted({name for image in images for name in board.groups.get(image, ())})),
    )


def _pressing(row: Row) -> tuple[object, ...]:
    due = row.due.at.timestamp() if row.due.at else float("inf")
    return (ORDER.index(row.standing), due, not row.exploited, -RANKS.index(row.severity), row.package, row.version)


def outcome(board: Board, *, ignore_unfixed: bool = False) -> str:
    """`clean`, `affected` or `unknown`; with `ignore_unfixed`, what has no fix affects nobody."""
    found = board.assessment
    affecting = (Verdict.AFFECTED_WITH_FIX,) if ignore_unfixed else AFFECTED
    if found.outcome == "affected" and not any(each.verdict in affecting for each in found.exposures):
        rest = [each for each in found.exposures if each.verdict not in AFFECTED]
        hidden = found.unknown or found.gaps or any(each.verdict is Verdict.UNKNOWN for each in rest)
        return "unknown" if hidden else "clean"
    return found.outcome
