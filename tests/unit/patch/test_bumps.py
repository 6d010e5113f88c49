"""Pinned versions: where they stand, and the text with another."""

from __future__ import annotations

import pytest

from bluestone.model.bom import Ecosystem
from bluestone.patch.bumps import find_pin, how, raised
from bluestone.patch.pins.kept import LeftAlone

REQUIREMENTS = """\
# what the shop needs
flask==1.0          # the web
Flask-Login[x] == 1.0.1 ; python_version > "3"
jinja2==3.1.2.post1
django>=4.0
"""
LOCK = '{\n "packages": {\n  "node_modules/a/node_modules/@s/pad": {\n   "version": "1.3.0"\n  }\n }\n}\n'
OLD_LOCK = '{\n "dependencies": {\n  "left-pad": {\n   "version": "1.3.0"\n  }\n }\n}\n'
YARN = 'left-pad@^1.2.0, left-pad@~1.3.0:\n  version "1.3.0"\n  resolved "x"\n\n"@s/pad@^1":\n  version "2.0.0"\n'
BERRY = '"left-pad@npm:^1.3.0":\n  version: 1.3.0\n  resolution: "x"\n'
PNPM = "packages:\n\n  left-pad@1.3.0:\n    resolution: {}\n\n  '@s/pad@2.0.0(x@1)':\n    resolution: {}\n"
POM = """<project><dependencies><dependency>
  <groupId>org.apache.struts</groupId>
  <artifactId>struts2-core</artifactId>
  <version>2.3.31</version>
</dependency></dependencies></project>
"""


@pytest.mark.parametrize(
    ("file", "text", "ecosystem", "name", "version", "line"),
    [
        ("requirements.txt", REQUIREMENTS, "pypi", "flask", "1.0", 2),
        ("dev-requirements-3.txt", REQUIREMENTS, "pypi", "flask_login", "1.0.1", 3),
        ("constraints.txt", REQUIREMENTS, "pypi", "jinja2", "3.1.2", 0),
        ("requirements.txt", REQUIREMENTS, "pypi", "django", "4.0", 0),
        ("notes.txt", REQUIREMENTS, "pypi", "flask", "1.0", 0),
        ("package-lock.json", LOCK, "npm", "@s/pad", "1.3.0", 4),
        ("package-lock.json", OLD_LOCK, "npm", "left-pad", "1.3.0", 4),
        ("package-lock.json", OLD_LOCK, "npm", "left-pad", "1.3.1", 0),
        ("package-lock.json", OLD_LOCK, "npm", "pad", "1.3.0", 0),
        ("yarn.lock", YARN, "npm", "left-pad", "1.3.0", 2),
        ("yarn.lock", YARN, "npm", "@s/pad", "2.0.0", 6),
        ("yarn.lock", YARN, "npm", "left-pad", "2.0.0", 0),
        ("yarn.lock", BERRY, "npm", "left-pad", "1.3.0", 2),
        ("pnpm-lock.yaml", PNPM, "npm", "left-pad", "1.3.0", 3),
        ("pnpm-lock.yaml", PNPM, "npm", "@s/pad", "2.0.0", 6),
        ("pom.xml", POM, "maven", "org.apache.struts:struts2-core", "2.3.31", 4),
        ("pom.xml", POM, "maven", "org.apache.struts:struts2-core", "2.3.3", 0),
    ],
)
def test_a_pin_is_found_by_name_and_version(
    file: str, text: str, ecosystem: Ecosystem, name: str, version: str, line: int
) -> None:
    assert find_pin(file, text, ecosystem, name, version) == line


def nobody(_: str) -> None:
    """A registry that does not answer."""


def test_a_requirement_is_raised_and_all_else_stays() -> None:
    found = raised("requirements.txt", REQUIREMENTS, "flask", "1.0", "1.0.4", nobody)
    assert found == REQUIREMENTS.replace("flask==1.0 ", "flask==1.0.4 ")
    found = raised("requirements.txt", REQUIREMENTS, "flask-login", "1.0.1", "2", nobody)
    assert found == REQUIREMENTS.replace("== 1.0.1 ;", "== 2 ;")
    assert raised("requirements.txt", "a==1.0\r\n", "a", "1.0", "2.0", nobody) == "a==2.0\r\n"


@pytest.mark.parametrize(
    ("file", "text", "name", "old", "why"),
    [
        ("requirements.txt", "a==1 --hash=sha256:00\n", "a", "1", "names digests"),
        ("requirements.txt", "a==1 \\\n  ; x\n", "a", "1", "goes on"),
        ("package-lock.json", OLD_LOCK, "left-pad", "1.3.0", "lockfileVersion 1"),
        ("yarn.lock", YARN, "left-pad", "1.3.0", "its own tool"),
    ],
)
def test_what_cannot_rightly_be_raised_is_left_to_a_person(file: str, text: str, name: str, old: str, why: str) -> None:
    with pytest.raises(LeftAlone, match=why):
        raised(file, text, name, old, "9.0.0", nobody)


@pytest.mark.parametrize("ecosystem", ["pypi", "npm", "maven", "golang", "cargo", "deb"])
def test_each_ecosystem_says_how(ecosystem: Ecosystem) -> None:
    said = how(ecosystem, "name", "1.0", "2.0")
    assert "name" in said
    assert ecosystem == "deb" or "2.0" in said
