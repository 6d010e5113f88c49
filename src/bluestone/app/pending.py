"""Fixes that the archives have and running images lack, by the archives' own indexes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from bluestone.app import wiring
from bluestone.app.lock import lock
from bluestone.app.project import Project
from bluestone.app.running import running
from bluestone.app.sbom import bill_of
from bluestone.image.lock.pins import Upgrade
from bluestone.model.advisory import Advisory, Affected, Range
from bluestone.model.exposure import Assessment, Exposure, FeedState, Verdict
from bluestone.model.ids import Digest, short
from bluestone.model.lock import Lock, LockedPackage
from bluestone.model.problem import Problem
from bluestone.patch.loop import reached

OWN = ("main", "security")
"""Archives whose newer versions, within a release, are fixes."""

FEED = "archive"


def assess(project: Project, *, progress: Callable[[str], None]) -> Assessment:
    """What images of running servers lack of what the archives have today. Raises `Problem` and `Problems`."""
    seen = running(project)
    newest = lock(project, Upgrade(everything=True), progress, check=True).new
    servers: dict[Digest, list[str]] = {}
    for server in seen.servers:
        servers.setdefault(server.image, []).append(server.name)
    exposures, gaps = list[Exposure](), list(seen.gaps)
    for image in servers:
        try:
            exposures += _of_image(project, image, newest)
        except Problem as problem:
            gaps.append(f"what is in the image {short(image)}: {problem.what}")
    held: Mapping[Digest, tuple[str, ...]] = {image: tuple(names) for image, names in servers.items()}
    return Assessment(datetime.now(UTC), tuple(exposures), (), (_feed(newest),), held, tuple(gaps))


def _of_image(project: Project, image: Digest, newest: Lock) -> Iterator[Exposure]:
    offered = {package.name: package for package in newest.packages if package.archive in OWN}
    dates = {release.archive: release.date for release in newest.releases}
    for component in bill_of(wiring.images(project).get(image)).components:
        there = offered.get(component.name) if component.ecosystem == "deb" else None
        if there is None or reached("deb", component.source_version or component.version, there.source_version):
            continue
        fix = _advisory(there, dates[there.archive])
        why = f"{there.suite} has {there.version}"
        yield Exposure(
            fix,
            image,
            component,
            Verdict.AFFECTED_WITH_FIX,
            why,
            there.source,
            there.source_version,
            dates[there.archive],
        )


def _advisory(package: LockedPackage, date: datetime) -> Advisory:
    affected = Affected("deb", package.source, (Range(fixed=package.source_version),), fix_since=date)
    return Advisory(f"{package.source} {package.source_version}", FEED, (affected,), pending=True)


def _feed(newest: Lock) -> FeedState:
    releases: Sequence[str] = sorted(release.sha256 for release in newest.releases)
    digest = hashlib.sha256("\n".join(releases).encode()).hexdigest()
    date = max((release.date for release in newest.releases), default=None)
    return FeedState(FEED, "apt", digest, date, datetime.now(UTC), verified="signed by the archive")
