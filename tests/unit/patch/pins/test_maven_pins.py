"""pom.xml: versions of dependencies, written there or in a property."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestone.patch.pins import maven
from bluestone.patch.pins.kept import LeftAlone

POM = (Path(__file__).parents[3] / "data" / "pins" / "pom.xml").read_text()
STRUTS = "org.apache.struts:struts2-core"


def test_a_property_is_raised_for_all_of_its_group_and_nothing_else() -> None:
    after = maven.raised(POM, STRUTS, "2.3.31", "2.3.32")
    assert after == POM.replace("<struts.version>2.3.31<", "<struts.version>2.3.32<")
    assert maven.find(POM, STRUTS, "2.3.31") == 8
    assert maven.find(after, STRUTS, "2.3.31") == 0, "neither the project's own version nor a comment is a pin"


def test_a_direct_version_is_raised_where_it_stands() -> None:
    after = maven.raised(POM, "org.apache.commons:commons-text", "1.9", "1.10.0")
    assert after == POM.replace("        1.9\n", "        1.10.0\n")


def test_a_property_that_others_share_is_left() -> None:
    with pytest.raises(LeftAlone, match=r"shared\.version is also the version of com\.example:client"):
        maven.raised(POM, "org.apache.logging.log4j:log4j-core", "2.17.0", "2.17.1")


@pytest.mark.parametrize(
    ("name", "version"), [(STRUTS, "2.3"), ("org.example:shop", "2.3.31"), ("x:struts2-core", "2.3.31")]
)
def test_nothing_else_is_a_pin(name: str, version: str) -> None:
    assert maven.find(POM, name, version) == 0
