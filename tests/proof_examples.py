"""A proof as a patch of two servers would leave it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bluestone.patch.proof import Bills, Ended, Feed, Moved, Proof, Query, from_fix, from_verdict

BEGAN = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def moved(number: int, after: float) -> Moved:
    gone = BEGAN + timedelta(seconds=after)
    switched = gone - timedelta(seconds=1)
    return Moved(f"web-{number}-aaaaaaaa-1", OLD, f"web-{number}-bbbbbbbb-9", NEW, switched, gone)


def proof() -> Proof:
    fix = Ended("deb:openssl 3.5.1-1+deb13u2", ("3.5.1-1",), ("CVE-2026-1",), BEGAN - timedelta(days=1), BEGAN)
    servers = (moved(1, 9.5), moved(2, 12.25))
    return Proof(
        project="shop",
        groups=("web",),
        patch="p20261130-120000",
        by="jane",
        bluestone="0.1",
        verdict=BEGAN,
        closed=BEGAN + timedelta(seconds=13),
        ended=(fix,),
        feeds=(Feed("archive", "c" * 64, BEGAN - timedelta(hours=3), "signed"),),
        before=(Bills(OLD, {"sbom.cdx.json": "d" * 64}),),
        after=(Bills(NEW, {"sbom.cdx.json": "e" * 64}),),
        servers=servers,
        query=Query(BEGAN + timedelta(seconds=13), 2, (), ()),
        from_verdict=from_verdict(BEGAN, servers),
        from_fix=from_fix([fix], servers),
    )
