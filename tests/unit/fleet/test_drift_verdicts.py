"""What was found on a server -> drift, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.drift import CLOCK_TOLERANCE, MIN_RECURRENCES, Verdict, common, drifts, judge
from bluestone.model.drift import (
    Drift,
    Examination,
    FailedUnit,
    FileChange,
    Login,
    PackageChange,
    Process,
)
from bluestone.model.group import DriftPolicy

NOW = datetime(2026, 11, 30, 9, 43, 6, tzinfo=UTC)
REPLACE = DriftPolicy()


def seen(**found: object) -> Examination:
    return Examination("web-1", NOW, **found)  # type: ignore[arg-type]


def what(examination: Examination, policy: DriftPolicy = REPLACE) -> list[str]:
    return [drift.what for drift in drifts(examination, policy)]


def test_a_server_as_its_image_says_has_no_drift() -> None:
    processes = (Process(1, "/usr/lib/systemd/systemd", "image"),)
    assert drifts(seen(processes=processes, clock=0.0), REPLACE) == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (FileChange("/etc/added", "added"), "/etc/added is not in the image"),
        (FileChange("/etc/motd", "changed"), "/etc/motd is not as in the image"),
        (FileChange("/etc/issue", "removed"), "/etc/issue of the image was removed"),
        (FileChange("/usr/bin", "covered"), "/usr/bin of the image is hidden by something that was mounted over it"),
        (FileChange("/", "writable"), "the root file system was made writable"),
    ],
)
def test_a_file_says_how_it_differs(change: FileChange, text: str) -> None:
    assert what(seen(files=(change,))) == [text]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (PackageChange("nmap", "", "7.95"), "the package nmap 7.95 is not in the image"),
        (PackageChange("nginx", "1.26", ""), "the package nginx of the image is not installed any more"),
        (PackageChange("nginx", "1.26", "1.27"), "the package nginx is 1.27, and 1.26 in the image"),
    ],
)
def test_a_package_says_how_it_differs(change: PackageChange, text: str) -> None:
    assert what(seen(packages=(change,))) == [text]


def test_dpkgs_list_is_not_told_beside_the_packages_in_it() -> None:
    status = FileChange("/var/lib/dpkg/status", "changed")
    assert what(seen(files=(status,), packages=(PackageChange("nmap", "", "7"),))) == [
        "the package nmap 7 is not in the image"
    ]
    assert what(seen(files=(status,))) == ["/var/lib/dpkg/status is not as in the image"]


def test_processes_of_one_executable_are_one_drift_since_the_first() -> None:
    processes = (
        Process(7, "/tmp/x", "writable", "nginx.service", started_at=NOW),
        Process(8, "/tmp/x", "writable", started_at=NOW - timedelta(hours=1)),
        Process(9, "/tmp/y", "deleted"),
    )
    first, second = drifts(seen(processes=processes), REPLACE)
    assert first == Drift(
        "processes",
        "/tmp/x",
        "2 processes run /tmp/x, in nginx.service: it is not of the image",
        NOW - timedelta(hours=1),
    )
    assert second.what == "process 9 runs /tmp/y, deleted since: it is not of the image"


def test_logins_are_told_once_for_each_way_in() -> None:
    logins = (
        Login(NOW + timedelta(minutes=2), "podman exec"),
        Login(NOW, "podman exec", "user 1000 of this machine"),
        Login(NOW, "podman attach"),
    )
    execs, attach = drifts(seen(logins=logins), REPLACE)
    assert execs.what == (
        "podman exec by user 1000 of this machine at 2026-11-30 09:43:06 UTC, 2 times until 2026-11-30 09:45:06 UTC"
    )
    assert (execs.since, execs.last) == (NOW, NOW + timedelta(minutes=2))
    assert attach.what == "podman attach at 2026-11-30 09:43:06 UTC"


@given(st.floats(-1e6, 1e6))
def test_a_clock_is_off_beyond_its_tolerance_in_either_direction(offset: float) -> None:
    found = what(seen(clock=offset))
    assert bool(found) == (abs(offset) > CLOCK_TOLERANCE)
    if found:
        assert found[0].endswith("ahead" if offset > 0 else "behind")


def test_a_clock_that_is_not_known_is_no_drift() -> None:
    assert drifts(seen(clock=None), REPLACE) == ()


def test_what_may_differ_is_ignored_and_nothing_else() -> None:
    policy = DriftPolicy(ignore=("/tmp/jna-*", "/opt/cache/**", "flaky@*.service"))
    examination = seen(
        files=(FileChange("/opt/cache/a/b", "added"), FileChange("/opt/other", "added")),
        processes=(Process(2, "/tmp/jna-1", "writable"), Process(3, "/tmp/jna-1/x", "writable")),
        units=(FailedUnit("flaky@1.service", "exit-code"), FailedUnit("other.service", "timeout")),
        logins=(Login(NOW, "/tmp/jna-1"),),
    )
    assert [drift.subject for drift in drifts(examination, policy)] == [
        "/opt/other",
        "/tmp/jna-1/x",
        "other.service",
        "/tmp/jna-1",
    ]


UNIT = Drift("units", "app.service", "app.service failed")


def test_drift_taints_unless_it_is_only_to_be_reported() -> None:
    assert judge(UNIT, REPLACE, 3, {}) == Verdict(UNIT, taints=True)
    assert not judge(UNIT, DriftPolicy("report"), 3, {}).taints


@pytest.mark.parametrize(("count", "times"), [(1, 3), (3, 3), (10, 10)])
def test_what_comes_again_on_one_new_server_after_the_other_is_the_images_own(count: int, times: int) -> None:
    assert judge(UNIT, REPLACE, count, {("units", "app.service"): times - 1}).taints
    verdict = judge(UNIT, REPLACE, count, {("units", "app.service"): times})
    assert not verdict.taints
    assert f"{times} servers were replaced" in verdict.why_not
    assert judge(UNIT, REPLACE, count, {("units", "other.service"): times}).taints


def test_a_unit_that_failed_on_all_servers_of_a_generation_is_not_mended_by_another_of_them() -> None:
    process = Drift("processes", "/tmp/x", "process 2 runs /tmp/x")
    everywhere = common([[UNIT, process], [UNIT, process]])
    assert not judge(UNIT, REPLACE, 2, {}, everywhere).taints
    assert judge(process, REPLACE, 2, {}, everywhere).taints, "an intruder may be everywhere"
    assert judge(UNIT, REPLACE, 2, {}, common([[UNIT], []])).taints
    assert judge(UNIT, REPLACE, 1, {}, common([[UNIT]])).taints, "one server alone tells nothing of the others"
    assert common([]) == frozenset()


@pytest.mark.parametrize("aspect", ["files", "packages", "logins"])
def test_what_no_image_does_by_itself_always_taints(aspect: str) -> None:
    drift = Drift(aspect, "x", "x")  # type: ignore[arg-type]
    assert judge(drift, REPLACE, 1, {(aspect, "x"): 100 * MIN_RECURRENCES}).taints  # type: ignore[dict-item]
