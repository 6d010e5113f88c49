"""Orders of versions: what documents say, what holds of any order, and what the ecosystems' own programs answer."""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import version_orders as oracles
from bluestone.patch.versions import KEYS, Key, debian, go, maven, semantic

ASCENDING: dict[str, list[str]] = {
    "deb": [
        "0~~",
        "0~",
        "0",
        "0.1~rc1-1",
        "0.1-1~bpo12+1",
        "0.1-1",
        "0.1-1a",
        "0.1-1+b1",
        "0.1-1+deb13u1",
        "0.1-1.1",
        "0.1-2",
        "0.1-10",
        "0.1a",
        "0.1+x",
        "0.2",
        "9",
        "10",
        "1:0",
        "1:0-1",
        "2:0~",
    ],
    "pypi": [
        "1.0.dev1",
        "1.0a1.dev1",
        "1.0a1",
        "1.0b2",
        "1.0rc1",
        "1.0",
        "1.0+local",
        "1.0.post1",
        "1.1",
        "1.10",
        "1!0.1",
    ],
    "npm": [
        "1.0.0-0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
    ],
    "golang": [
        "v0.0.0-20190101000000-abcdefabcdef",
        "v0.0.1",
        "v1.0.0-rc.1",
        "v1.0.0",
        "v1.0.1-0.20200101000000-abcdefabcdef",
        "v1.0.1",
        "go1.21beta1",
        "go1.21rc2",
        "go1.21",
        "go1.21.1",
        "go1.22",
        "v2.0.0+incompatible",
    ],
    "maven": [
        "1-alpha-1",
        "1-alpha2",
        "1-b1",
        "1-milestone1",
        "1-rc1",
        "1-snapshot",
        "1",
        "1-sp",
        "1-foo",
        "1-1",
        "1.1",
        "1.2.3",
        "1.10",
    ],
}
EQUAL = {
    "deb": [("1.0", "0:1.0-0"), ("1.0", "1.00"), ("1.a", "1.a0"), ("1.", "1.0")],
    "pypi": [("1.0", "1.0.0"), ("1.0RC1", "1.0-c1")],
    "npm": [("1.0.0+a", "v1.0.0+b")],
    "golang": [("go1.21.0", "1.21"), ("v1.0.0+incompatible", "v1.0.0")],
    "maven": [("4.3.30.RELEASE", "4.3.30"), ("1.0", "1"), ("1-ga", "1.final"), ("1cr1", "1-RC-1"), ("1x1", "1-x-1")],
}
REFUSED = {
    "deb": ["", "a b", "1:", "x:1", "1\n", "é", "1" * 5000],
    "pypi": ["", "two", "1" * 300],
    "npm": ["", "1", "1.2", "01.0.0", "1.0.0-01", "\u0661.0.0"],
    "golang": ["", "(devel)", "v1x"],
    "maven": ["", "1" * 300],
}


@pytest.mark.parametrize("ecosystem", ASCENDING)
def test_what_documents_say(ecosystem: Any) -> None:
    key, ascending = KEYS[ecosystem], ASCENDING[ecosystem]
    for lower, higher in itertools.pairwise(ascending):
        assert key(lower) < key(higher), f"{lower} < {higher}"
    for one, other in EQUAL[ecosystem]:
        assert key(one) == key(other), f"{one} = {other}"
    for text in REFUSED[ecosystem]:
        with pytest.raises(ValueError, match=r".*"):
            key(text)


def _debian() -> st.SearchStrategy[str]:
    upstream = st.from_regex(r"[0-9][0-9a-zA-C.+~]{0,8}", fullmatch=True)
    revision = st.from_regex(r"(-[0-9a-c.+~]{1,6})?", fullmatch=True)
    return st.builds("".join, st.tuples(st.sampled_from(["", "0:", "1:", "00:"]), upstream, revision))


SEMANTIC = st.from_regex(r"[0-2]\.[0-2]\.[0-2](-(0|1|a|1a|-)(\.(0|2|b)){0,2})?(\+x)?", fullmatch=True)
MAVEN = st.from_regex(r"[0-2](\.[0-2]){0,2}(-(alpha|rc|sp|x)-?[1-2]|-SNAPSHOT|\.Final)?", fullmatch=True)


@pytest.mark.parametrize(
    ("key", "versions"), [(debian.key, _debian()), (semantic.key, SEMANTIC), (go.key, SEMANTIC), (maven.key, MAVEN)]
)
def test_an_order_is_one(key: Key, versions: st.SearchStrategy[str]) -> None:
    """Exactly one of less, equal and greater; and what holds of a and b, and b and c, holds of a and c."""

    @settings(deadline=None, max_examples=60)
    @given(versions, versions, versions)
    def check(a: str, b: str, c: str) -> None:
        one, two, three = key(a), key(b), key(c)
        assert (one < two) + (one == two) + (two < one) == 1
        assert key(a) == one
        low, middle, high = sorted([one, two, three])
        assert not high < middle
        assert not middle < low
        assert not high < low

    check()


def test_debian_versions_are_ordered_as_by_apt_or_dpkg() -> None:
    pairs = oracles.debian_pairs(random.Random(1), 10_000)
    answers = oracles.apt(pairs) or oracles.dpkg(pairs[:300])
    for (one, other), answer in zip(pairs, answers, strict=False):
        assert oracles.sign(debian.key(one), debian.key(other)) == answer, (one, other)


def test_npm_orders_as_npm_does() -> None:
    npm = next((path for path in oracles.NPM if path.is_dir()), None)
    if npm is None or shutil.which("node") is None:
        pytest.skip("machine: there is no npm")
    rng, parts = random.Random(2), ["0", "1", "10", "a", "b", "1a", "-", "rc", "beta"]

    def version() -> str:
        before = ".".join(rng.choices(parts, k=rng.randrange(4)))
        return ".".join(rng.choices(["0", "1", "2", "10"], k=3)) + (f"-{before}" if before else "")

    pairs = [(version(), version()) for _ in range(5000)]
    script = (
        "const s=require(process.argv[1]);let t='';process.stdin.on('data',d=>t+=d).on('end',()=>"
        "console.log(JSON.stringify(JSON.parse(t).map(([a,b])=>s.compare(a,b)))))"
    )
    run = ["node", "-e", script, str(npm)]
    answers = json.loads(
        subprocess.run(run, input=json.dumps(pairs), text=True, capture_output=True, check=True).stdout
    )
    for (one, other), answer in zip(pairs, answers, strict=True):
        assert oracles.sign(semantic.key(one), semantic.key(other)) == answer, (one, other)


def test_maven_orders_as_maven_does() -> None:
    jars = [Path("/usr/share/maven/lib") / name for name in ("maven-artifact-3.x.jar", "commons-lang3.jar")]
    if shutil.which("java") is None or not all(jar.exists() for jar in jars):
        pytest.skip("machine: there is no Maven")
    rng = random.Random(3)
    words = [
        "0",
        "00",
        "1",
        "2",
        "10",
        "alpha",
        "beta",
        "rc",
        "cr",
        "ga",
        "final",
        "release",
        "sp",
        "snapshot",
        "x",
        "jre",
        "a",
        "m",
    ]

    def version() -> str:
        more = [rng.choice([".", "-", "", ".", "-"]) + rng.choice(words) for _ in range(rng.randrange(5))]
        return rng.choice("124") + "".join(more)

    program = ["java", "-cp", ":".join(map(str, jars)), "org.apache.maven.artifact.versioning.ComparableVersion"]
    said = subprocess.run([*program, *(version() for _ in range(2000))], text=True, capture_output=True, check=True)
    found = re.findall(r"^   (\S+) (<|==|>) (\S+)$", said.stdout, re.MULTILINE)
    assert len(found) == 1999
    for one, answer, other in found:
        assert oracles.sign(maven.key(one), maven.key(other)) == {"<": -1, "==": 0, ">": 1}[answer], (one, other)
