"""Java archives within each other, of which it is known what is in them: how many are told, and how many wrongly.

The corpus is that of the tests, and more: jars in a tar, and classes moved into another package with
nothing left that names them. syft gets the same files in the same run; it passes over archives without a manifest,
as most of these are.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

from bench.images.figures import Figures, note
from bench.images.sbom import syft
from bluestone.image.sbom import bundles, java
from bluestone.image.sbom.place import Place
from jar_corpus import APP, APP_IS, CASES, CODE, LANG, LANG_IS, Case, jar, pom

Named = tuple[str, str]
"""Artifact, without its group, and version."""


def _tarred(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


MOVED = {f"com/example/shaded/{name}": data for name, data in CODE.items()}
MORE = (
    Case("a jar in a tar", "/srv/app.tar.gz", lambda: _tarred("lib/l.jar", jar(LANG)), frozenset({(*LANG_IS, "")})),
    Case(
        "relocated, its pom left",
        "/srv/app-1.0.jar",
        lambda: jar({**APP, **LANG, **MOVED}),
        frozenset({(*APP_IS, ""), (*LANG_IS, "")}),
    ),
    Case(
        "relocated, all traces of its name removed",
        "/srv/app-1.0.jar",
        lambda: jar({**APP, **MOVED}),
        frozenset({(*APP_IS, ""), (*LANG_IS, "")}),
    ),
    Case(
        "Struts in a war in an ear",
        "/srv/portal.ear",
        lambda: jar({"web.war": jar({"WEB-INF/lib/s.jar": jar(pom("org.apache.struts", "struts2-core", "2.3.31"))})}),
        frozenset({("org.apache.struts:struts2-core", "2.3.31", "")}),
    ),
)


def measure() -> Figures:
    """How many artifacts of how many are told; which are told that are not there."""
    cases = (*CASES, *MORE)
    truth = {case.title: {_plain(name, version) for name, version, _ in case.truth} for case in cases}
    ours = {case.title: _ours(case) for case in cases}
    theirs = _theirs(cases)
    there = sum(map(len, truth.values()))
    values: dict[str, float | None] = {"jar_cases": len(cases), "jar_artifacts": there}
    for who, found in (("jar", ours), ("syft_jar", theirs)):
        told = sum(len(truth[title] & found[title]) for title in truth)
        wrong = sum(len(found[title] - truth[title]) for title in truth)
        values |= {f"{who}_identified_pct": round(100 * told / there, 1), f"{who}_wrong": wrong}
        note(f"{who}: {told} of {there} told, {wrong} wrong")
    for title in truth:
        if lost := truth[title] - ours[title]:
            note(f"not told: {title}: {sorted(lost)}")
    return Figures({}, values)


def _ours(case: Case) -> set[Named]:
    data = case.data()
    look = bundles.catalogue if bundles.is_bundle(case.path) else java.catalogue
    found = look(Place(case.path), lambda offset, length: data[offset : offset + length], len(data))
    return {_plain(each.name, each.version) for each in found.components}


def _theirs(cases: tuple[Case, ...]) -> dict[str, set[Named]]:
    found: dict[str, set[Named]] = defaultdict(set)
    with tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/var/tmp") as directory:
        for number, case in enumerate(cases):
            path = Path(directory, str(number), case.path.lstrip("/"))
            path.parent.mkdir(parents=True)
            path.write_bytes(case.data())
        command = [
            syft(),
            "scan",
            "-q",
            f"dir:{directory}",
            "-o",
            "syft-json",
            "--override-default-catalogers",
            "image",
        ]
        done = subprocess.run(command, capture_output=True, check=True, timeout=120)
        for each in json.loads(done.stdout)["artifacts"]:
            for place in each["locations"] if each["version"] not in ("", "UNKNOWN") else ():
                number = int(place["path"].lstrip("/").partition("/")[0])
                found[cases[number].title].add(_plain(each["name"], each["version"]))
    return found


def _plain(name: str, version: str) -> Named:
    return name.rpartition(":")[2], version
