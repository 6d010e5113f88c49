"""Pinned versions: where they stand, and the text with another."""

from __future__ import annotations

import pytest

from bluestone.model.bom import Ecosystem
from bluestone.patch.bumps import can_raise, find_pin, how, raised

REQUIREMENTS = """\
# what the shop needs
flask==1.0          # the web
Flask-Login[x] == 1.0.1 ; python_version > "3"
jinja2==3.1.2.post1
django>=4.0
"""
LOCK = '{\n "packages": {\n  "node_modules/a/node_modules/@s/pad": {\n   "version": "1.3.0"\n  }\n }\n}\n'
OLD_LOCK = '{\n "dependencies": {\n  "left-pad": {\n   "version": "1.3.0"\n  }\n }\n}\n'
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
        ("pom.xml", POM, "maven", "org.apache.struts:struts2-core", "2.3.31", 4),
        ("pom.xml", POM, "maven", "org.apache.struts:struts2-core", "2.3.3", 0),
    ],
)
def test_a_pin_is_found_by_name_and_version(
    file: str, text: str, ecosystem: Ecosystem, name: str, version: str, line: int
) -> None:
    assert find_pin(file, text, ecosystem, name, version) == line


def test_a_requirement_is_raised_and_all_else_stays() -> None:
    assert can_raise("requirements.txt", REQUIREMENTS, 2)
    found = raised(REQUIREMENTS, 2, "1.0", "1.0.4")
    assert found == REQUIREMENTS.replace("flask==1.0 ", "flask==1.0.4 ")
    assert raised(REQUIREMENTS, 3, "1.0.1", "2") == REQUIREMENTS.replace("== 1.0.1 ;", "== 2 ;")
    assert raised("a==1.0\r\n", 1, "1.0", "2.0") == "a==2.0\r\n"


def test_what_names_digests_or_goes_on_is_left_to_a_person() -> None:
    assert not can_raise("requirements.txt", "a==1 --hash=sha256:00\n", 1)
    assert not can_raise("requirements.txt", "a==1 \\\n  ; x\n", 1)
    assert not can_raise("package-lock.json", LOCK, 4)
    assert not can_raise("requirements.txt", "a==1\n", 0)


@pytest.mark.parametrize("ecosystem", ["pypi", "npm", "maven", "golang", "cargo", "deb"])
def test_each_ecosystem_says_how(ecosystem: Ecosystem) -> None:
    said = how(ecosystem, "name", "1.0", "2.0")
    assert "name" in said
    assert ecosystem == "deb" or "2.0" in said
