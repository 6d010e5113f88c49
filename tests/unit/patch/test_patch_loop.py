"""What is to be fixed, and what comes next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from bluestone.model.advisory import Advisory
from bluestone.model.bom import Component
from bluestone.model.exposure import Exposure, Verdict
from bluestone.model.group import Group, Port
from bluestone.model.ids import Digest
from bluestone.model.patching import FixWaiver, PatchPolicy
from bluestone.patch import policy
from bluestone.patch.loop import Scope, fixes, newest, next_phase, reached
from bluestone.patch.policy import Permission

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD, OLDER = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)
WEB = Group("web", ports=(Port(80, 80, bind="0.0.0.0"),))
DB = Group("db")
RUNS = {OLD: [WEB], OLDER: [WEB, DB]}


def exposed(name: str, fixed: str, *, source: str = "", image: Digest = OLD, days: int = 1) -> Exposure:
    component = Component("deb", name, "1", "pkg:deb/debian/x@1", "/var/lib/dpkg/status", "dpkg", source_version="1.0")
    flaw = Advisory(f"DSA-{source or name}-{fixed}", "t", aliases=(f"CVE-{fixed}",))
    since = NOW - timedelta(days=days)
    return Exposure(flaw, image, component, Verdict.AFFECTED_WITH_FIX, "", source or name, fixed, since)


def test_binaries_of_one_source_are_one_fix_to_the_newest_version() -> None:
    found = fixes(
        [
            exposed("libssl3", "1.9", source="openssl"),
            exposed("openssl", "1.10", source="openssl", days=5),
            exposed("zlib1g", "2", source="zlib", image=OLDER),
        ],
        PatchPolicy(),
        RUNS,
        Scope((WEB, DB)),
        NOW,
    )
    assert [(fix.key, fix.installed) for fix in found] == [
        ("deb:openssl 1.10", ("1.0",)),
        ("deb:zlib 2", ("1.0",)),
    ], "what is due first comes first"
    assert found[0].advisories == ("CVE-1.10", "CVE-1.9", "DSA-openssl-1.10", "DSA-openssl-1.9")
    assert (found[0].since, found[0].due) == (NOW - timedelta(days=5), NOW - timedelta(days=2))
    assert (found[0].urgent, found[1].urgent) == (("overdue",), ())


def test_a_scope_leaves_out_other_groups_and_other_advisories() -> None:
    both = [exposed("a", "2"), exposed("b", "3", image=OLDER)]
    assert [fix.package for fix in fixes(both, PatchPolicy(), RUNS, Scope((DB,)), NOW)] == ["b"]
    assert [fix.package for fix in fixes(both, PatchPolicy(), RUNS, Scope((WEB, DB), "cve-2"), NOW)] == ["a"]
    assert fixes(both, PatchPolicy(), {}, Scope((WEB, DB)), NOW) == (), "what nobody runs needs no patch"


def test_what_is_waived_or_has_no_fix_is_not_to_be_fixed() -> None:
    waiver = FixWaiver("CVE-2", "jane", "never called", NOW + timedelta(days=1))
    made = PatchPolicy(waivers=(waiver,))
    held = [policy.waived(made, exposed("a", "2"), ["web"], NOW)]
    held.append(replace(exposed("b", "3"), verdict=Verdict.AFFECTED_WITHOUT_FIX))
    assert [each.verdict for each in held] == [Verdict.WAIVED, Verdict.AFFECTED_WITHOUT_FIX]
    assert fixes(held, made, RUNS, Scope((WEB,)), NOW) == ()
    again = policy.waived(made, exposed("a", "2"), ["web"], waiver.end)
    assert len(fixes([again], made, RUNS, Scope((WEB,)), waiver.end)) == 1


@pytest.mark.parametrize(
    ("exposed_servers", "begun", "prepared", "allowed", "phase"),
    [
        ((), False, False, True, "rest"),
        (("web-1",), False, False, True, "prepare"),
        (("web-1",), False, False, False, "wait"),
        (("web-1",), True, False, False, "prepare"),
        (("web-1",), True, True, False, "roll out"),
        ((), True, True, False, "close"),
        ((), True, False, False, "close"),
    ],
)
def test_what_comes_next(
    exposed_servers: tuple[str, ...], begun: bool, prepared: bool, allowed: bool, phase: str
) -> None:
    permission = Permission(allowed, "the hour")
    found, why = next_phase(exposed=exposed_servers, begun=begun, prepared=prepared, permission=permission)
    assert found == phase
    assert why


def test_versions_are_ordered_by_the_ecosystem() -> None:
    assert newest("deb", ["1.9", "1.10~rc1", "1.10"]) == "1.10"
    assert reached("deb", "1:1.0", "9.9")
    assert not reached("deb", "1.10~rc1", "1.10")
    assert newest("deb", ["no version!", "0.1"]) == "0.1"
