"""The sources that are in a Debian package."""

from __future__ import annotations

import pytest

from bluestone.model.bom import Component
from bluestone.patch.sources import Origin, origins


def deb(source: str, version: str, *using: str) -> Component:
    return Component(
        "deb", "x", "9", "pkg:deb/x", "/s", "dpkg", source=source, source_version=version, built_using=using
    )


@pytest.mark.parametrize(
    ("source", "version", "name", "unsigned"),
    [
        ("linux-signed-amd64", "6.12.117+1", "linux", "6.12.117-1"),
        ("linux-signed-arm64", "6.12.12+1~bpo12+1", "linux", "6.12.12-1~bpo12+1"),
        ("linux-signed-6.12-amd64", "6.12.117+1~deb12u1", "linux-6.12", "6.12.117-1~deb12u1"),
    ],
)
def test_a_signed_kernel_is_the_kernel(source: str, version: str, name: str, unsigned: str) -> None:
    assert origins(deb(source, version)) == (Origin(source, version, "source"), Origin(name, unsigned, "signed"))


def test_what_is_built_in_and_what_is_no_source() -> None:
    found = origins(deb("app", "1", "golang-1.24 (= 1.24.4-1)", "nonsense"))
    assert found == (Origin("app", "1", "source"), Origin("golang-1.24", "1.24.4-1", "built using"))
    assert origins(Component("npm", "a", "1", "pkg:npm/a", "/a", "package.json")) == ()
