"""The keys of `[patch]`: by when fixes must be on the servers, and when they may be rolled out."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field

from bluestone.declaration import moments, quantities
from bluestone.declaration.forms import Written, WrittenAs
from bluestone.declaration.keys.table import Name, Table, key, lasting
from bluestone.declaration.texts import addresses, naming, paths
from bluestone.model.patching import Table as TableName
from bluestone.model.patching import Urgency
from bluestone.model.patching import Window as WindowValue

Moment = Annotated[
    date, WrittenAs(moments.moment, {"title": "day or moment", "type": "string", "pattern": moments.MOMENT})
]
Within = Annotated[
    timedelta | None,
    Written(quantities.within, 'duration, or "upgrade"', f"^(upgrade|{quantities.DURATION[1:-1]})$"),
]
Rated = Literal["low", "medium", "high", "critical"]
Probability = Annotated[float, Field(ge=0, le=1)]


class RuleTable(Table):
    """A deadline for what meets all that is said here. The first rule that is met decides."""

    within: Within = key(
        'How long after the fix became available it must be on all servers; `"upgrade"`: with the next upgrade.',
        example="48h",
    )
    severity: Rated | None = key("The least severity, where one is known.", example="high", default=None)
    exploited: bool | None = key(
        "Whether it is known to be used in attacks (CISA's catalogue).", example=True, default=None
    )
    epss: Probability | None = key(
        "The least probability that it is attacked within 30 days (EPSS), where one is known.",
        example=0.5,
        default=None,
    )
    exposed: bool | None = key(
        "Whether the group can be reached from elsewhere: a port of it is bound to an address that is neither this "
        "machine's alone nor of a private network, or `exposed` names it.",
        example=True,
        default=None,
    )


class FreezeTable(Table):
    """Time in which no patch begins."""

    begin: Moment = key("From when on; of a day its beginning.", example="2026-12-19")
    end: Moment = key("Until when; of a day its end.", example="2027-01-03")
    reason: Annotated[str, Written(naming.reason, "sentence")] = key(
        "Why, for whoever wants to patch then.", example="the shop's busiest weeks"
    )
    unless: list[Urgency] = key(
        "What is patched nevertheless: what is known to be exploited, of critical severity, or past its deadline.",
        example=["exploited", "overdue"],
        default=[],
    )


class FixWaiverTable(Table):
    """An advisory that is lived with for a time. When it ends, the deadline counts again as if it had never been."""

    advisory: Annotated[str, Written(naming.advisory, "name of an advisory", naming.ADVISORY)] = key(
        "The advisory's name, or any other name of it.", example="CVE-2026-12345"
    )
    owner: Annotated[str, Written(naming.reason, "name")] = key("Who answers for it.", example="jane@example.org")
    reason: Annotated[str, Written(naming.reason, "sentence")] = key(
        "Why it can be lived with.", example="the parser that it is in is never called"
    )
    end: Moment = key("Until when; of a day its end.", example="2026-12-31")
    groups: list[Name] = key("The groups that it holds for. Left out: all.", example=["web"], default=[])


Place = Annotated[str, Written(addresses.place, "http(s) address or path", addresses.PLACE)]


class FeedsTable(Table):
    """Where it is learned from what is wrong with which versions. Each is an http(s) address, or a path.

    Components of an ecosystem that no feed tells of are unknown.
    """

    archive: bool = key(
        "Whether these archives are asked: what is newer there, and the CVEs that its changelog names.",
        example=False,
        default=True,
    )
    debian: Place | None = key(
        "The Debian Security Tracker's JSON: also what has no fix yet.",
        example="https://feeds.example.org/debian/tracker.json",
        default=None,
    )
    pypi: Place | None = key("OSV's zip of PyPI.", example="https://feeds.example.org/osv/PyPI/all.zip", default=None)
    npm: Place | None = key("OSV's zip of npm.", example="https://feeds.example.org/osv/npm/all.zip", default=None)
    maven: Place | None = key("OSV's zip of Maven.", example="mirror/osv/Maven/all.zip", default=None)
    go: Place | None = key("OSV's zip of Go.", example="mirror/osv/Go/all.zip", default=None)
    crates: Place | None = key("OSV's zip of crates.io.", example="mirror/osv/crates.io/all.zip", default=None)
    kev: Place | None = key(
        "CISA's list of what is known to be exploited, as JSON.",
        example="https://feeds.example.org/kev.json",
        default=None,
    )
    epss: Place | None = key(
        "FIRST's probabilities that something is attacked, as CSV in gzip.",
        example="https://feeds.example.org/epss.csv.gz",
        default=None,
    )
    support: Place | None = key(
        "Until when releases get fixes: distro-info-data's CSV, or endoflife.date's JSON.",
        example="/usr/share/distro-info/debian.csv",
        default=None,
    )
    vex: list[Place] = key(
        "OpenVEX documents: what you, or makers, say of advisories in your images.",
        example=["vex/openssl.json"],
        default=[],
    )
    vex_keys: list[Annotated[str, Written(paths.source, "path")]] = key(
        "Files with public keys (PEM; Ed25519, or ECDSA on P-256). Where some are named, each OpenVEX document must be "
        "signed by one of them: an in-toto statement in a DSSE envelope.",
        example=["keys/vendor.pem"],
        default=[],
    )
    max_age: Annotated[timedelta, lasting("1h", "30d")] = key(
        "How long what was fetched counts. After that, all that it covers is unknown.", example="6h", default="1d"
    )


class PatchTable(Table):
    """By when a fix must be on all servers, when it may be rolled out, what is waived, and how old servers may be."""

    automatic: bool = key(
        "Whether the daemon, `bluestone serve`, patches by itself, in the windows.", example=True, default=False
    )
    every: Annotated[timedelta, lasting("1m", "7d")] = key(
        "How often the daemon looks for fixes.", example="30m", default="1h"
    )
    table: TableName = key(
        "The deadlines of what no rule is met by: those of CISA's directive BOD 26-04, or none.",
        example="none",
        default="bod-26-04",
    )
    rules: list[RuleTable] = key(
        "Deadlines of your own; the first that is met decides.",
        example=[{"exploited": True, "within": "48h"}],
        default=[],
    )
    exposed: list[Name] = key(
        "Groups that can be reached from elsewhere though their ports do not say so, as behind a proxy.",
        example=["web"],
        default=[],
    )
    time_zone: Annotated[str, Written(moments.time_zone, "name of a time zone")] = key(
        "The time zone of windows and days, by its IANA name.", example="Europe/Amsterdam", default="UTC"
    )
    windows: list[Annotated[WindowValue, Written(moments.window, "days and hours", moments.WINDOW)]] = key(
        "When the daemon may begin to patch. Left out: at any time.", example=["Mo-Fr 08:00-16:00"], default=[]
    )
    freezes: list[FreezeTable] = key(
        "Times in which no patch begins, not by hand either.",
        example=[{"begin": "2026-12-19", "end": "2027-01-03", "reason": "the shop's busiest weeks"}],
        default=[],
    )
    waivers: list[FixWaiverTable] = key(
        "Advisories that are lived with for a time.",
        example=[
            {
                "advisory": "CVE-2026-12345",
                "owner": "jane@example.org",
                "reason": "the parser that it is in is never called",
                "end": "2026-12-31",
            }
        ],
        default=[],
    )
    raises: list[Annotated[str, Written(paths.source, "path")]] = key(
        "Files beside the declaration whose pinned versions may be raised: pip's requirements files, npm's "
        "package-lock.json, Maven's pom.xml.",
        example=["app/requirements.txt"],
        default=[],
    )
    rebuild: Literal["daily", "weekly", "monthly"] | None = key(
        "How often every server is replaced at least, whatever has changed: none is older than a day, 7 or 30 days.",
        example="weekly",
        default=None,
    )
    max_age: Annotated[timedelta, lasting("1h", "400d")] | None = key(
        "The oldest that a server may be. It is replaced as its group's rollout says, within its limits.",
        example="7d",
        default=None,
    )
    feeds: FeedsTable = key(
        "Where it is learned from what is wrong with which versions.",
        example={"kev": "https://feeds.example.org/kev.json"},
        default={},
    )
