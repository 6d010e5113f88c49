"""What matches and feeds come to: each exposure once, with what all feeds know of it, and what its makers say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime

from msgspec.structs import replace

from bluestone.model.advisory import Advisory, Severity, Statement
from bluestone.model.exposure import Exposure, FeedState, Verdict
from bluestone.patch.feeds.reading import Reading

RANKS: tuple[Severity, ...] = ("unknown", "low", "medium", "high", "critical")
SURE = (Verdict.AFFECTED_WITH_FIX, Verdict.AFFECTED_WITHOUT_FIX, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.NOT_AFFECTED)
"""Of two feeds that disagree on the same thing, the verdict that counts: the first of these."""

Where = tuple[str, str, str]


def assessed(found: Iterable[Exposure], readings: Sequence[Reading]) -> list[Exposure]:
    """Exposures, once each, ordered by image, component and advisory, with priorities and statements applied."""
    by_place: dict[Where, list[Exposure]] = defaultdict(list)
    for each in found:
        by_place[each.image, each.component.purl, each.component.path].append(each)
    enrich = _enricher(readings, by_place.values())
    statements = _by_name(statement for reading in readings for statement in reading.statements)
    return [
        stated(replace(each, advisory=enrich(each.advisory)), statements)
        for _, those in sorted(by_place.items())
        for each in sorted(merged(those), key=lambda each: each.advisory.id)
    ]


def merged(those: Iterable[Exposure]) -> list[Exposure]:
    """The exposures of one component, without those that say again, under another name, what another one says.

    What the archive has pending knows when the fix came, and which CVEs it mends; where a feed names each of these, it
    is that feed that tells of them.
    """
    pending: list[Exposure] = []
    named: list[Exposure] = []
    for each in those:
        (pending if each.advisory.pending else named).append(each)
    named = _once(named)
    fixed = {cve for each in named if each.fixed for cve in each.advisory.cves}
    since: dict[str, datetime] = {}
    for each in pending:
        if each.since:
            since |= {cve: min(each.since, since.get(cve, each.since)) for cve in each.advisory.cves}
    telling = [each for each in pending if each.advisory.cves]
    # A signed kernel is pending by its own name as well, which says nothing of what it mends.
    kept = [each for each in telling if not fixed.issuperset(each.advisory.cves)] if telling else pending
    return [*kept, *(_dated(each, since) for each in named)]


def _once(those: Sequence[Exposure]) -> list[Exposure]:
    """Those that share a name made into one."""
    heads: dict[str, int] = {}
    groups: dict[int, list[Exposure]] = {}
    for number, each in enumerate(those):
        groups[number] = [each]
        for name in each.advisory.names:
            other = heads.get(name, number)
            if other != number:
                groups[number] += groups.pop(other)
        for member in groups[number]:
            heads |= dict.fromkeys(member.advisory.names, number)
    return [_one(group) if len(group) > 1 else group[0] for group in groups.values()]


def _one(those: Sequence[Exposure]) -> Exposure:
    best = min(those, key=lambda each: (SURE.index(each.verdict), each.advisory.id))
    advisories = [each.advisory for each in those]
    names = sorted({name for each in advisories for name in each.names} - {best.advisory.id})
    severity = max((each.severity for each in advisories), key=RANKS.index)
    cvss = max((each.cvss for each in advisories if each.cvss is not None), default=None)
    told = next((each.summary for each in advisories if each.summary), "")
    advisory = replace(
        best.advisory,
        aliases=tuple(names),
        severity=severity,
        cvss=cvss,
        summary=best.advisory.summary or told,
        feed=" ".join(sorted({each.feed for each in advisories})),
    )
    return replace(best, advisory=advisory)


def _dated(each: Exposure, since: Mapping[str, datetime]) -> Exposure:
    """With the moment at which the archive had the fix, where the feed does not know it."""
    known = [since[cve] for cve in each.advisory.cves if cve in since]
    if not each.fixed or not known or (each.since and each.since != each.advisory.published):
        return each
    return replace(each, since=min(known))


def _enricher(readings: Sequence[Reading], found: Iterable[Sequence[Exposure]]) -> Callable[[Advisory], Advisory]:
    rated: dict[str, tuple[int, float]] = {}
    for those in found:
        for each in those:
            known = RANKS.index(each.advisory.severity), each.advisory.cvss or 0.0
            for cve in each.advisory.cves if not each.advisory.pending else ():
                rated[cve] = max(known, rated.get(cve, known))
    done: dict[Advisory, Advisory] = {}

    def enrich(advisory: Advisory) -> Advisory:
        if advisory not in done:
            done[advisory] = prioritised(advisory, readings, rated)
        return done[advisory]

    return enrich


def prioritised(
    advisory: Advisory, readings: Iterable[Reading], rated: Mapping[str, tuple[int, float]] | None = None
) -> Advisory:
    """An advisory with what makes it urgent: the worst that is known of any of its CVEs."""
    exploited: list[date | None] = []
    scores: list[float] = []
    for reading in readings:
        exploited += [reading.exploited[cve].due for cve in advisory.cves if cve in reading.exploited]
        scores += [reading.epss[cve] for cve in advisory.cves if cve in reading.epss]
    ratings = [rated[cve] for cve in advisory.cves if rated and cve in rated]
    rank, cvss = max(ratings, default=(0, 0.0))
    return replace(
        advisory,
        severity=max(advisory.severity, RANKS[rank], key=RANKS.index),
        cvss=max(advisory.cvss or 0.0, cvss) or advisory.cvss,
        exploited=bool(exploited) or advisory.exploited,
        exploited_due=min((due for due in exploited if due), default=advisory.exploited_due),
        epss=max(scores, default=advisory.epss),
    )


def stated(exposure: Exposure, statements: Mapping[str, Sequence[Statement]]) -> Exposure:
    """An exposure with what was said of it by who should know. Of several statements, the last counts.

    A fix of several CVEs is needed until all of them are said to be none of this product's.
    """
    advisory = exposure.advisory
    names = advisory.cves if advisory.pending else advisory.names
    said = {name: found for name in names if (found := _last(exposure, statements.get(name, ())))}
    if not said or (advisory.pending and len(said) < len(names)):
        return exposure
    latest = max(said.values(), key=_moment)
    if all(each.status in ("not_affected", "fixed") for each in said.values()):
        by = f", says {latest.author}" if latest.author else ""
        why = latest.why or latest.status.replace("_", " ")
        return replace(exposure, verdict=Verdict.NOT_AFFECTED, why=f"{why}{by}")
    if latest.status == "under_investigation":
        return replace(exposure, verdict=Verdict.UNKNOWN, why="it is under investigation")
    return exposure


def _by_name(statements: Iterable[Statement]) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = defaultdict(list)
    for each in statements:
        for name in each.names:
            found[name].append(each)
    return found


def _last(exposure: Exposure, statements: Iterable[Statement]) -> Statement | None:
    about = [each for each in statements if any(is_about(product, exposure) for product in each.products)]
    return max(about, key=_moment, default=None)


def _moment(statement: Statement) -> float:
    return statement.at.timestamp() if statement.at else 0.0


def is_about(product: str, exposure: Exposure) -> bool:
    """Whether a product of a statement is an exposure's component, or its image. A package URL without a version, or
    without qualifiers, is whichever."""
    if product == exposure.image:
        return True
    ours, theirs = exposure.component.purl, product
    plain, _, qualifiers = theirs.partition("?")
    if qualifiers:
        return ours == theirs
    ours = ours.partition("?")[0]
    return plain == ours or ("@" not in plain.rpartition("/")[2] and plain == ours.rpartition("@")[0])


def coverage(states: Iterable[FeedState], ends: Mapping[str, date], today: date) -> dict[str, str]:
    """The realms that feeds cover, with what is wrong with any of these feeds, or "".

    A release whose support has ended gets no fixes: what is wrong in it is not told any more.
    """
    found: dict[str, list[str]] = {}
    for state in states:
        for each in state.covers:
            said = found.setdefault(each, [])
            if state.trouble:
                said.append(f"the feed {state.name} {state.trouble}")
    for release, end in ends.items():
        if end < today:
            found.setdefault(f"deb:{release}", []).append(f"{release} had its last fixes on {end}")
    return {each: "; ".join(said) for each, said in found.items()}
