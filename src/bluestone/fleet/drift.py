"""What was found on a server, and what its image says: where they differ, and what follows. Pure.

A difference taints its server, which is then replaced within the budget like any other that has to go; or it is only
reported, as the group's policy says.

What the image itself brings about cannot be mended by a new server of the same image. So a unit that failed on all
servers of a generation is only reported: it is the image's doing, or that of something around them all. And a unit that
fails, or a program that unpacks another and runs it, on one new server after the other is in the end only reported too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct

from bluestone.model.drift import Aspect, Drift, Examination, FileChange, Login, PackageChange, Process
from bluestone.model.group import DriftPolicy
from bluestone.model.path import pattern

CLOCK_TOLERANCE = 5.0
"""Seconds that a server's clock may be off: less disturbs neither certificates nor the order of log lines much."""

OWN_DOING: tuple[Aspect, ...] = ("processes", "units")
"""What an image can bring about by itself. Its files are read-only to it, and nobody logs in by himself."""

RECENT = timedelta(days=1)
MIN_RECURRENCES = 3
"""How often within `RECENT` servers of one generation are replaced for the same; a larger group may lose its count."""

STATUS = "/var/lib/dpkg/status"

TIME = "%Y-%m-%d %H:%M:%S"

Key = tuple[Aspect, str]
"""Aspect and subject: what is the same drift on one server and on another."""


class Verdict(Struct, frozen=True):
    """What follows from a drift: its server is tainted, or not, and then `why_not`."""

    drift: Drift
    taints: bool
    why_not: str = ""


def drifts(seen: Examination, policy: DriftPolicy) -> tuple[Drift, ...]:
    """Where a server differs from its image, but for what its group ignores."""
    found = [*_files(seen), *_packages(seen), *_processes(seen), *_units(seen), *_logins(seen), *_clock(seen)]
    return tuple(drift for drift in found if not _ignored(drift, policy))


def common(found: Sequence[Sequence[Drift]]) -> frozenset[Key]:
    """What each of several servers has; nothing, if there is only one."""
    keys = [frozenset((drift.aspect, drift.subject) for drift in of_one) for of_one in found]
    return frozenset.intersection(*keys) if len(keys) > 1 else frozenset()


def judge(
    drift: Drift, policy: DriftPolicy, count: int, recurrences: Mapping[Key, int], common: Collection[Key] = ()
) -> Verdict:
    """What follows from a drift of a server in a group of `count`.

    `recurrences` says for how many other servers of its generation each drift was lately a reason to replace them,
    `common` which ones all servers of its generation have now.
    """
    if policy.then == "report":
        return Verdict(drift, taints=False, why_not='on_drift = "report"')
    if drift.aspect == "units" and (drift.aspect, drift.subject) in common:
        return Verdict(drift, taints=False, why_not="it failed on all servers of the generation")
    times = recurrences.get((drift.aspect, drift.subject), 0)
    if drift.aspect in OWN_DOING and times >= max(MIN_RECURRENCES, count):
        return Verdict(drift, taints=False, why_not=f"{times} servers were replaced for it lately, and it came again")
    return Verdict(drift, taints=True)


def _files(seen: Examination) -> Iterator[Drift]:
    for change in seen.files:
        if change.path != STATUS or not seen.packages:
            yield Drift("files", change.path, _of_file(change), change.at)


def _of_file(change: FileChange) -> str:
    match change.how:
        case "added":
            return f"{change.path} is not in the image"
        case "changed":
            return f"{change.path} is not as in the image"
        case "removed":
            return f"{change.path} of the image was removed"
        case "covered":
            return f"{change.path} of the image is hidden by something that was mounted over it"
        case "writable":
            return "the root file system was made writable"


def _packages(seen: Examination) -> Iterator[Drift]:
    for change in seen.packages:
        yield Drift("packages", change.name, _of_package(change), change.at)


def _of_package(change: PackageChange) -> str:
    if not change.in_image:
        return f"the package {change.name} {change.on_server} is not in the image"
    if not change.on_server:
        return f"the package {change.name} of the image is not installed any more"
    return f"the package {change.name} is {change.on_server}, and {change.in_image} in the image"


def _processes(seen: Examination) -> Iterator[Drift]:
    foreign: dict[str, list[Process]] = {}
    for process in seen.processes:
        if process.origin != "image":
            foreign.setdefault(process.executable, []).append(process)
    for executable, processes in foreign.items():
        first = processes[0]
        runs = f"process {first.pid} runs" if len(processes) == 1 else f"{len(processes)} processes run"
        where = f", in {first.unit}" if first.unit else ""
        gone = ", deleted since" if first.origin == "deleted" else ""
        since = min((p.started_at for p in processes if p.started_at), default=None)
        yield Drift("processes", executable, f"{runs} {executable}{gone}{where}: it is not of the image", since)


def _units(seen: Examination) -> Iterator[Drift]:
    for unit in seen.units:
        why = f" ({unit.result})" if unit.result else ""
        yield Drift("units", unit.name, f"{unit.name} failed{why}", unit.since)


def _logins(seen: Examination) -> Iterator[Drift]:
    """One drift for each way in: who comes in again and again is told once, with the last time."""
    ways: dict[str, list[Login]] = {}
    for login in seen.logins:
        ways.setdefault(login.how, []).append(login)
    for how, logins in ways.items():
        times = sorted(login.at for login in logins if login.at)
        who = next((f" by {login.who}" for login in logins if login.who), "")
        when = f" at {times[0]:{TIME}} UTC" if times else ""
        again = f", {len(logins)} times until {times[-1]:{TIME}} UTC" if len(logins) > 1 and times else ""
        first, last = (times[0], times[-1]) if times else (None, None)
        yield Drift("logins", how, f"{how}{who}{when}{again}", first, last)


def _clock(seen: Examination) -> Iterator[Drift]:
    if seen.clock is not None and abs(seen.clock) > CLOCK_TOLERANCE:
        side = "ahead" if seen.clock > 0 else "behind"
        yield Drift("clock", "clock", f"its clock is {abs(seen.clock):.0f} s {side}", None)


def _ignored(drift: Drift, policy: DriftPolicy) -> bool:
    if drift.aspect not in ("files", "processes", "units"):
        return False
    return any(pattern(glob).fullmatch(drift.subject) for glob in policy.ignore)
