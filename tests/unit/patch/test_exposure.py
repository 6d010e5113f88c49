"""What advisories mean for what images hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.model.advisory import Advisory, Affected, Range
from bluestone.model.bom import Bom, Component, Ecosystem, Unidentified
from bluestone.model.exposure import Assessment, Exposure, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.estate import furnish
from bluestone.patch.exposure import Catalogue, exposures, match, unknown
from bluestone.patch.inventory.query import folded
from bluestone.patch.versions import KEYS

IMAGE = Digest("sha256:" + "1" * 64)
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def bom(*components: Component, image: Digest = IMAGE, release: str = "13") -> Bom:
    return Bom(image, "debian", release, components, (), ())


def deb(name: str, version: str, source: str = "", source_version: str = "", **more: object) -> Component:
    own = Component("deb", name, version, f"pkg:deb/debian/{name}@{version}", "/var/lib/dpkg/status", "dpkg")
    return replace(own, source=source or name, source_version=source_version or version, **more)


def other(ecosystem: Ecosystem, name: str, version: str, **more: object) -> Component:
    own = Component(ecosystem, name, version, f"pkg:{ecosystem}/{name}@{version}", "/srv/x", "metadata")
    return replace(own, **more)


def advisory(ecosystem: Ecosystem, name: str, *ranges: Range, versions: Sequence[str] = (), **more: object) -> Advisory:
    release = str(more.pop("release", "trixie" if ecosystem == "deb" else ""))
    affected = Affected(ecosystem, name, ranges, tuple(versions), release, SINCE)
    return Advisory("CVE-2026-1", "test", (affected,), **more)  # type: ignore[arg-type]


def met(advisories: list[Advisory], *boms: Bom) -> list[Exposure]:
    return list(exposures(match(furnish(boms), Catalogue.of(advisories))))


def test_a_package_below_the_fix_is_affected_since_the_fix_is_there() -> None:
    component = deb("libssl3t64", "3.5.1-1", "openssl")
    (found,) = met([advisory("deb", "openssl", Range(fixed="3.5.1-1+deb13u1"))], bom(component))
    assert (found.verdict, found.fixed, found.source) == (Verdict.AFFECTED_WITH_FIX, "3.5.1-1+deb13u1", "openssl")
    assert (found.component, found.image, found.since) == (component, IMAGE, SINCE)


@pytest.mark.parametrize(
    ("component", "ranges"),
    [
        (deb("libssl3t64", "3.5.1-1+deb13u1", "openssl"), [Range(fixed="3.5.1-1+deb13u1")]),
        (deb("openssl", "1:1.0-1"), [Range(fixed="3.5.1-1")]),  # The epoch rules.
        (deb("openssl", "3.5.1-1+b2", "openssl", "3.5.1-1"), [Range(fixed="3.5.1-1")]),  # A binary build of the fix.
        (deb("openssl", "3.5.1-2~bpo13+1"), [Range(fixed="3.5.1-1")]),  # A backport of what comes after it.
        (deb("openssl", "9-1", "otherwise", "1-1"), [Range(fixed="9-2")]),  # Advisories name sources.
        (deb("openssl", "3.5.1-1"), []),
    ],
)
def test_a_package_that_has_the_fix_is_not_affected(component: Component, ranges: list[Range]) -> None:
    assert met([advisory("deb", "openssl", *ranges)], bom(component)) == []


def test_a_backport_is_below_what_it_is_a_backport_of() -> None:
    (found,) = met([advisory("deb", "openssl", Range(fixed="3.5.1-2"))], bom(deb("openssl", "3.5.1-2~bpo13+1")))
    assert found.verdict is Verdict.AFFECTED_WITH_FIX


def test_a_fix_is_of_one_release() -> None:
    fix = advisory("deb", "openssl", Range(fixed="3.5.1-2"), release="bookworm")
    old, new = bom(deb("openssl", "3.0-1"), release="12"), bom(deb("openssl", "3.0-1"), image=Digest("sha256:2"))
    assert [each.image for each in met([fix], old, new)] == [IMAGE]


def test_a_signed_kernel_is_the_kernel_of_that_version() -> None:
    kernel = deb("linux-image-6.12.117-amd64", "6.12.117-1", "linux-signed-amd64", "6.12.117+1")
    assert met([advisory("deb", "linux", Range(fixed="6.12.117-1"))], bom(kernel)) == []
    (found,) = met([advisory("deb", "linux", Range(fixed="6.12.120-1"))], bom(kernel))
    assert (found.verdict, found.source, found.fixed) == (Verdict.AFFECTED_WITH_FIX, "linux", "6.12.120-1")
    assert "linux 6.12.117-1, of which this is the signed form" in found.why


def test_what_is_built_in_is_mended_by_another_build_only() -> None:
    tool = deb("caddy", "2.6-1", built_using=("golang-1.24 (= 1.24.4-1)",))
    fix = advisory("deb", "golang-1.24", Range(fixed="1.24.9-1"))
    (found,) = met([fix], bom(tool))
    assert (found.verdict, found.fixed) == (Verdict.AFFECTED_WITHOUT_FIX, "")
    assert met([replace(fix, pending=True)], bom(tool)) == []


def test_what_a_package_of_debian_owns_is_told_by_that_package_alone() -> None:
    jinja = other("pypi", "jinja2", "3.1.5", owner="python3-jinja2")
    fix = advisory("pypi", "Jinja2", Range(fixed="3.1.6"))
    assert met([fix], bom(jinja)) == []
    assert [each.fixed for each in met([fix], bom(replace(jinja, owner="")))] == ["3.1.6"]


def test_names_are_compared_as_their_ecosystem_does() -> None:
    found = met([advisory("pypi", "Foo_Bar", Range(fixed="2"))], bom(other("pypi", "foo.bar", "1")))
    assert [each.component.name for each in found] == ["foo.bar"]


def test_versions_that_are_named_one_by_one() -> None:
    said = advisory("pypi", "x", Range("3", fixed="3.2"), versions=["1.0", "2018d-post1x"])
    found = met([said], *(bom(other("pypi", "x", v), image=Digest(v)) for v in ("1.0.0", "1.1", "3.1", "2018d-post1x")))
    assert {(each.image, each.verdict, each.fixed) for each in found} == {
        ("1.0.0", Verdict.AFFECTED_WITH_FIX, "3.2"),
        ("3.1", Verdict.AFFECTED_WITH_FIX, "3.2"),
        ("2018d-post1x", Verdict.AFFECTED_WITHOUT_FIX, ""),
    }


@pytest.mark.parametrize(
    ("component", "said"),
    [
        (other("npm", "left", "not a version"), advisory("npm", "left", Range(fixed="1.0.0"))),
        (other("npm", "left", "1.0.0"), advisory("npm", "left", Range(fixed="banana"))),
        (other("maven", "struts2-core", "2.3.31"), advisory("maven", "org.x:struts2-core", Range(fixed="2.3.32"))),
        (other("npm", "left", "0.9.0", declared=True), advisory("npm", "left", Range(fixed="1.0.0"))),
    ],
)
def test_what_cannot_be_decided_is_unknown(component: Component, said: Advisory) -> None:
    (found,) = met([said], bom(component))
    assert found.verdict is Verdict.UNKNOWN
    assert Assessment(SINCE, (found,)).outcome == "unknown"


def test_what_a_lock_file_names_and_is_there_counts_once() -> None:
    there = other("npm", "left", "0.9.0")
    found = met([advisory("npm", "left", Range(fixed="1.0.0"))], bom(there, replace(there, path="/l", declared=True)))
    assert [each.verdict for each in found] == [Verdict.AFFECTED_WITH_FIX]


def test_what_no_sound_feed_covers_is_unknown() -> None:
    held = bom(deb("a", "1"), deb("b", "1"), other("pypi", "x", "1"), other("npm", "y", "1.0.0"))
    estate = furnish([replace(held, unidentified=(Unidentified("/a.jar", "x"), Unidentified("/b.jar", "x", "owner")))])
    covered = {"deb:trixie": "", "npm": "npm's feed is stale"}
    found = {(each.realm, each.components): each.why for each in unknown(estate, covered, [IMAGE])}
    assert found.keys() == {("npm", 1), ("pypi", 1), ("", 1)}
    assert found["npm", 1] == "npm's feed is stale"
    assert not list(unknown(furnish([bom(deb("a", "1"))]), covered, [IMAGE]))


VERSIONS: dict[Ecosystem, st.SearchStrategy[str]] = {
    "deb": st.from_regex(r"([12]:)?[0-9](\.[0-9])?(~rc1|\+b1)?-[0-9](~bpo1|\+deb13u1)?", fullmatch=True),
    "pypi": st.from_regex(r"[0-3]\.[0-9](rc1|\.post1)?", fullmatch=True),
    "npm": st.from_regex(r"[0-3]\.[0-9]\.[0-9](-rc\.1)?", fullmatch=True),
    "maven": st.from_regex(r"[0-3]\.[0-9](-SNAPSHOT|\.RELEASE|-beta-1)?", fullmatch=True),
    "golang": st.from_regex(r"v[0-3]\.[0-9]\.[0-9](-rc1)?", fullmatch=True),
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Bom], list[Advisory]]:
    ecosystem = draw(st.sampled_from(sorted(VERSIONS)))
    version, names = VERSIONS[ecosystem], st.sampled_from(["g:a", "g:b"] if ecosystem == "maven" else ["a", "b"])
    part = deb if ecosystem == "deb" else lambda n, v: other(ecosystem, n, v)
    boms = [
        bom(*(part(draw(names), draw(version)) for _ in range(draw(st.integers(0, 4)))), image=Digest(f"i{number}"))
        for number in range(draw(st.integers(1, 3)))
    ]
    maybe = st.one_of(st.just(""), version)
    ranges = st.builds(Range, maybe, maybe) | st.builds(lambda low, last: Range(low, "", last), maybe, version)
    said = [
        advisory(
            ecosystem, draw(names), *draw(st.lists(ranges, max_size=3)), versions=draw(st.lists(version, max_size=2))
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return boms, [replace(each, id=f"CVE-{number}") for number, each in enumerate(said)]


@settings(max_examples=100, deadline=None)
@given(cases())
def test_slices_of_shelves_are_what_comparing_each_with_each_finds(case: tuple[list[Bom], list[Advisory]]) -> None:
    boms, advisories = case
    found = {(e.image, e.component, e.advisory.id) for e in met(advisories, *boms)}
    expected = {
        (each.image, component, said.id)
        for each in boms
        for component in each.components
        for said in advisories
        if is_about(said.affected[0], component)
    }
    assert found == expected


def is_about(affected: Affected, component: Component) -> bool:
    """One comparison after the other, as a person would."""
    key = KEYS[component.ecosystem]
    if folded(component.ecosystem, component.name) != folded(affected.ecosystem, affected.name):
        return False
    mine = key(component.version)
    if any(key(each) == mine for each in affected.versions):
        return True
    return any(
        (not each.introduced or key(each.introduced) <= mine)
        and (not each.fixed or mine < key(each.fixed))
        and (not each.last or bool(each.fixed) or mine <= key(each.last))
        for each in affected.ranges
    )
