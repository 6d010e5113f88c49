"""By when an exposure must be gone, whether that is waived, and whether a patch may begin now. Pure.

Time comes in as an argument, and `zone` is where windows are in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bluestone.model.advisory import Advisory, Severity
from bluestone.model.exposure import AFFECTED, Exposure, Verdict
from bluestone.model.group import Group
from bluestone.model.patching import FixWaiver, Freeze, PatchPolicy, Rule, Urgency, Window
from bluestone.patch import ssvc

RANKS: tuple[Severity, ...] = ("unknown", "low", "medium", "high", "critical")
"""Severities, the least first."""

Standing = Literal["due", "overdue", "waived", "no fix", "unknown", "someday"]
"""`someday`: there is a fix, and no deadline for it."""

FAR = timedelta(days=15)
"""How far ahead an opening is looked for: a week has every window in it, a freeze may take another."""


class Deadline(Struct, frozen=True):
    """By when (None: no deadline), by which rule; and whether traces of an attack are to be looked for as well."""

    at: datetime | None
    why: str
    triage: bool = False


class Permission(Struct, frozen=True):
    """Whether a patch may begin now, and why. `opens` is when it next may, if that is known and not now."""

    allowed: bool
    why: str
    opens: datetime | None = None


def reachable(policy: PatchPolicy, group: Group) -> bool:
    """Whether a group can be reached from elsewhere: a port of it is bound to an address that is not this machine's
    alone or of a private network (0.0.0.0 and :: are all addresses), or the declaration says so."""
    return group.name in policy.exposed or any(_is_public(port.bind) for port in group.ports)


def deadline(policy: PatchPolicy, advisory: Advisory, since: datetime | None, *, exposed: bool) -> Deadline:
    """By when a fix that is there `since` a moment must be on servers of a group that is `exposed` or not.

    The first rule that is met decides, then the table that is built in. Of what is not known to have a fix since some
    moment there is no deadline.
    """
    for number, rule in enumerate(policy.rules, 1):
        if _meets(rule, advisory, exposed):
            return _after(since, rule.within, f"rule {number} of patch.rules")
    if policy.table == "none":
        return Deadline(None, "no rule of patch.rules is met")
    within = ssvc.within(exploited=advisory.exploited, exposed=exposed)
    triage = ssvc.asks_for_triage(exploited=advisory.exploited, exposed=exposed)
    return replace(_after(since, within, f"{ssvc.SOURCE}: {_in_words(advisory, exposed)}"), triage=triage)


def of_exposure(policy: PatchPolicy, exposure: Exposure, groups: Iterable[Group]) -> Deadline:
    """The deadline of an exposure whose image runs in these groups: the earliest of theirs."""
    reached = any(reachable(policy, group) for group in groups)
    since = exposure.since if exposure.fixed else None
    found = deadline(policy, exposure.advisory, since, exposed=reached)
    return found if exposure.fixed else Deadline(None, "there is no fix yet", found.triage)


def waiver(policy: PatchPolicy, advisory: Advisory, group: str) -> FixWaiver | None:
    """What waives an advisory for a group, if anything ever did: of several the one that ends last."""
    names = {name.lower() for name in advisory.names}
    found = [w for w in policy.waivers if w.advisory.lower() in names and (not w.groups or group in w.groups)]
    return max(found, key=lambda each: each.end, default=None)


def waived(policy: PatchPolicy, exposure: Exposure, groups: Iterable[str], now: datetime) -> Exposure:
    """The exposure, waived if its advisory is now for *all* groups (at least one) that run its image.

    One whose waiver has ended says so: its deadline counts from when the fix became available, as ever.
    """
    if exposure.verdict not in AFFECTED:
        return exposure
    each = [waiver(policy, exposure.advisory, group) for group in groups]
    if not each or not all(each):
        return exposure
    first = min((found for found in each if found), key=lambda found: found.end)
    if now >= first.end:
        return replace(exposure, why=f"{exposure.why}; its waiver ended {first.end:%Y-%m-%d} ({first.owner})")
    why = f"waived by {first.owner} until {first.end:%Y-%m-%d}: {first.reason}"
    return replace(exposure, verdict=Verdict.WAIVED, why=why, until=first.end)


def standing(exposure: Exposure, due: Deadline, now: datetime) -> Standing | None:
    """How an exposure stands by its deadline; None for one that is none."""
    match exposure.verdict:
        case Verdict.NOT_AFFECTED:
            return None
        case Verdict.WAIVED:
            return "waived"
        case Verdict.UNKNOWN:
            return "unknown"
        case Verdict.AFFECTED_WITHOUT_FIX:
            return "no fix"
        case Verdict.AFFECTED_WITH_FIX:
            return "someday" if due.at is None else "overdue" if now > due.at else "due"


def may_begin(
    policy: PatchPolicy, urgencies: Iterable[Urgency], now: datetime, zone: tzinfo, *, by_hand: bool = False
) -> Permission:
    """Whether a patch with fixes of these urgencies may begin now: in a window, if any are declared, and in no freeze.

    Who patches by hand needs no window, and is kept by a freeze as the daemon is.
    """
    urgent = set(urgencies)
    if freeze := _freeze(policy, urgent, now):
        why = f"frozen until {_local(freeze.end, zone)}: {freeze.reason}"
        return Permission(False, why, _opening(policy, urgent, now, zone, by_hand=by_hand))
    if not by_hand and policy.windows and not _in_window(policy.windows, now, zone):
        opens = _opening(policy, urgent, now, zone, by_hand=by_hand)
        return Permission(False, f"outside of patch.windows{f', until {_local(opens, zone)}' if opens else ''}", opens)
    return Permission(True, "asked for" if by_hand else "in a window" if policy.windows else "at any time")


def urgencies(exposures: Iterable[tuple[Exposure, Deadline]], now: datetime) -> set[Urgency]:
    """In which ways any of them is urgent."""
    return {urgency for exposure, due in exposures for urgency in _urgencies(exposure.advisory, due, now)}


def _urgencies(advisory: Advisory, due: Deadline, now: datetime) -> Iterator[Urgency]:
    if advisory.exploited:
        yield "exploited"
    if advisory.severity == "critical":
        yield "critical"
    if due.at is not None and now > due.at:
        yield "overdue"


def _meets(rule: Rule, advisory: Advisory, exposed: bool) -> bool:
    """Whether an advisory is what a rule is for. A severity or probability that nobody told meets no bound."""
    return (
        (rule.severity is None or RANKS.index(advisory.severity) >= RANKS.index(rule.severity))
        and (rule.exploited is None or rule.exploited == advisory.exploited)
        and (rule.epss is None or (advisory.epss is not None and advisory.epss >= rule.epss))
        and (rule.exposed is None or rule.exposed == exposed)
    )


def _after(since: datetime | None, within: timedelta | None, why: str) -> Deadline:
    if within is None:
        return Deadline(None, f"{why}: with the next upgrade")
    return Deadline(None if since is None else since + within, why)


def _in_words(advisory: Advisory, exposed: bool) -> str:
    exploited = "known to be exploited" if advisory.exploited else "not known to be exploited"
    return f"{exploited}, {'reachable' if exposed else 'not reachable'} from elsewhere"


def _is_public(bind: str) -> bool:
    address = ipaddress.ip_address(bind)
    return address.is_unspecified or not (address.is_private or address.is_loopback or address.is_link_local)


def _freeze(policy: PatchPolicy, urgent: set[Urgency], now: datetime) -> Freeze | None:
    """The freeze that holds now, for what is urgent so; of several the one that ends last."""
    holding = [f for f in policy.freezes if f.begin <= now < f.end and not urgent & set(f.unless)]
    return max(holding, key=lambda freeze: freeze.end, default=None)


def _in_window(windows: Iterable[Window], now: datetime, zone: tzinfo) -> bool:
    """By the clock on the wall there: an hour that comes twice is twice in a window, one that is left out never."""
    local = now.astimezone(zone)
    day, clock = local.weekday(), local.time()
    for window in windows:
        if window.begin < window.end:
            if day in window.days and window.begin <= clock < window.end:
                return True
        elif (day in window.days and clock >= window.begin) or ((day - 1) % 7 in window.days and clock < window.end):
            return True
    return False


def _opening(
    policy: PatchPolicy, urgent: set[Urgency], now: datetime, zone: tzinfo, *, by_hand: bool
) -> datetime | None:
    """When it may begin next, to the minute; None if not within `FAR` of the end of what freezes it now."""
    freeze = _freeze(policy, urgent, now)
    begin = freeze.end if freeze else now
    minute = begin.replace(second=0, microsecond=0)
    minute += timedelta(minutes=1) if minute < begin else timedelta()
    end = minute + FAR
    while minute < end:
        if (frozen := _freeze(policy, urgent, minute)) is not None:
            minute = frozen.end
        elif by_hand or not policy.windows or _in_window(policy.windows, minute, zone):
            return minute
        else:
            minute += timedelta(minutes=1)
    return None


def _local(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"
