"""`./dev demo patch`: three web servers of an image without a fix since its release, patched under load, and the proof.

The image is locked to the release suite alone, as one that was built on the day of the last point release. What the
archives have had since then is pending, and `bluestone patch` brings it to the servers. Then it is asked again what
servers are exposed to; the proof is verified, and once more with one byte changed; and the patched image is compared
with a build from nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.fleet import RATE
from bench.load import Load, Report
from bluestone.app import wiring
from bluestone.app.image.lock import wanted_by
from bluestone.app.project import Project
from bluestone.image.lock import stored
from bluestone.image.lock.resolve import resolve
from examples.demo import CONNECTIONS, SETTLE, Demo, end, say

LONGEST_BUILD = 180.0
"""Seconds for a build from nothing at the lowest priority."""


@dataclass(frozen=True)
class Patched:
    """A fleet that was patched under load: the seconds from the call (it asks the archives first), and from the verdict
    to the last exposed server's end; the fixes, the servers, and the proof."""

    seconds: float
    from_verdict: float
    fixes: int
    servers: int
    load: Report
    proof: Path


def lock_to_release(demo: Demo) -> None:
    """Write the lock of the packages that the release suite alone has."""
    project = Project.open(demo.declaration)
    wanted = wanted_by(project)
    released = tuple(each for each in wanted.base.sources if each.suite == wanted.base.suite)
    alone = replace(wanted, base=replace(wanted.base, sources=released))
    stored.write(project.lock, resolve(alone, wiring.images(project).packages, print))


def patch_under_load(demo: Demo) -> Patched:
    """Patch the fleet while requests come in."""
    with Load(demo.url, connections=CONNECTIONS, rate=RATE) as load:
        time.sleep(SETTLE)
        began = time.monotonic()
        demo.bluestone("patch")
        seconds = time.monotonic() - began
        time.sleep(SETTLE)
        report = load.stop()
    newest = json.loads(demo.bluestone("proof", "list", "--json", show=False))[-1]
    said = newest["proof"]
    return Patched(
        seconds,
        said["fromVerdict"]["max"],
        len(said["ended"]),
        len(said["servers"]),
        report,
        Path(newest["file"]),
    )


def main() -> None:
    """Run the demonstration; exit 1 if a request failed, a server stayed exposed, or anything is left behind."""
    options = argparse.ArgumentParser(prog="./dev demo patch", description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave the servers running")
    keep = options.parse_args().keep

    home = Path(tempfile.mkdtemp(prefix="bs-demo-", dir="/var/tmp"))
    os.environ["BLUESTONE_HOME"] = str(home / "h")
    say(f"an example project in {home}, from examples/web/bluestone.toml, locked to the release suite alone")
    demo = Demo(home)
    faults: list[str] = []
    try:
        lock_to_release(demo)
        demo.bluestone("lock")  # keeps those pins, and notes the other suites
        demo.bluestone("up")
        faults += run(demo)
    finally:
        faults += end(demo, keep=keep)
    for fault in faults:
        print(f"\033[31mfailed: {fault}\033[0m")
    sys.exit(1 if faults else 0)


def run(demo: Demo) -> list[str]:
    """Patch a fleet that is up, show it, and return what went wrong."""
    say("what the servers lack, and by when they must have it")
    demo.bluestone("patch", "--plan", check=False)
    say(f"patch them under a load of {RATE:g} requests a second")
    done = patch_under_load(demo)
    faults = [f"{done.load.failed} requests failed: {done.load.by_kind}"] if done.load.failed else []

    say("what servers are exposed to now, by the inventory of those that run")
    demo.bluestone("exposures", check=False)
    say("the proof, and whether it holds")
    demo.bluestone("proof", "verify", str(done.proof))
    say("the same with one byte changed")
    if _is_believed_when_changed(demo, done.proof):
        faults.append("a proof with one byte changed was believed")
    say("whether a build from nothing gives the patched image, too")
    faults += _unproved(demo)

    say("what happened")
    print(f"\n  {done.fixes} fixes on {done.servers} servers, {done.seconds:.1f} s with the archives' answer")
    print(f"  from the verdict to the last exposed server destroyed: {done.from_verdict:.1f} s")
    print(f"  {done.load.sent} requests meanwhile, {done.load.failed} failed {done.load.by_kind or ''}")
    print(f"  proof: {done.proof}")
    return faults


def _is_believed_when_changed(demo: Demo, proof: Path) -> bool:
    content = bytearray(proof.read_bytes())
    content[len(content) // 2] ^= 1
    changed = demo.home / "changed.dsse.json"
    changed.write_bytes(content)
    try:
        demo.bluestone("proof", "verify", str(changed))
    except SystemExit:
        return False
    return True


def _unproved(demo: Demo) -> list[str]:
    """Wait for what is built in the background; show what came of it, and return what is not as it should be."""
    until, states = time.monotonic() + LONGEST_BUILD, ["being proved"]
    while "being proved" in states and time.monotonic() < until:
        time.sleep(SETTLE)
        states = [image["proof"] for image in json.loads(demo.bluestone("images", "--json", show=False))]
    demo.bluestone("images")
    return [f"an image is {state}" for state in states if state != "proved"]


if __name__ == "__main__":
    main()
