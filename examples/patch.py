"""`./dev demo patch`: three web servers of an image without a fix since its release, patched under load, and the proof.

The image is locked to the release suite alone, as one that was built on the day of the last point release. What the
archives have had since then is pending, and `bluestone patch` brings it to the servers.
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

from bench.load import Load, Report
from bluestone.app import wiring
from bluestone.app.image.lock import wanted_by
from bluestone.app.project import Project
from bluestone.image.lock import stored
from bluestone.image.lock.resolve import resolve
from examples.demo import CONNECTIONS, SETTLE, Demo, end, say


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
    with Load(demo.url, connections=CONNECTIONS) as load:
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
    say("patch them under constant load")
    done = patch_under_load(demo)
    say("the proof, and whether it holds")
    demo.bluestone("proof", "verify", str(done.proof))
    say("what happened")
    print(f"\n  {done.fixes} fixes on {done.servers} servers, {done.seconds:.1f} s with the archives' answer")
    print(f"  from the verdict to the last exposed server destroyed: {done.from_verdict:.1f} s")
    print(f"  {done.load.sent} requests meanwhile, {done.load.failed} failed {done.load.by_kind or ''}")
    print(f"  proof: {done.proof}")
    return [f"{done.load.failed} requests failed: {done.load.by_kind}"] if done.load.failed else []


if __name__ == "__main__":
    main()
