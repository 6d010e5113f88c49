"""Proofs: what was made by changing a stage is made from nothing as well, afterwards and in the background.

`python -m bluestone.image.prove STORE ENGINE` (its directory, and `module:class`) does so for every stage that is not
proved yet, one after another, at the lowest priority. It outlives the command that began it. Of two the second ends
at once; what a killed one left undone the next one does.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from bluestone.host.paths import private_directory
from bluestone.image.builders.port import Engine
from bluestone.image.route import engine_name, family
from bluestone.image.stages import Stage
from bluestone.image.store import ImageStore
from bluestone.model.problem import Problem, Problems

LOG_BYTES = 1 << 20
"""A log that is longer is begun anew."""


def log_file(store: ImageStore) -> Path:
    """Where the proofs of a store say how they went."""
    return store.stages.directory / "proofs" / "log"


def begin(store: ImageStore, engine: Engine) -> bool:
    """Start proving what is not proved yet, in a process of its own; return whether there was anything to start."""
    if not store.stages.unproved() or _under_way(store):
        return False
    log = log_file(store)
    command = [sys.executable, "-m", __spec__.name, str(store.directory.absolute()), engine_name(engine)]
    with log.open("ab") as output:
        if output.tell() > LOG_BYTES:
            output.truncate(0)
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    return True


def prove(store: ImageStore, engine: Engine) -> None:
    """Build from nothing what the store has of stages that are not proved, and compare. What fails is told and left."""
    failed: set[str] = set()
    with _alone(store) as alone:
        while alone and (waiting := [each for each in store.stages.unproved() if each.key not in failed]):
            stage = waiting[0]
            try:
                _prove(stage, store, engine)
            except (Problem, Problems) as problem:
                failed.add(stage.key)
                _say(f"{stage.key[:12]}: {problem}")


def _prove(stage: Stage, store: ImageStore, engine: Engine) -> None:
    from bluestone.image.build import make_stage

    lock = stage.lock
    of_family = family(lock, engine)
    if of_family != stage.family:
        _say(f"{stage.key[:12]}: removed, as another engine or another bluestone made it")
        store.stages.remove(stage.key, wait=True)
        return
    if missing := store.packages.missing(lock.packages):
        raise Problem(f"{len(missing)} of its packages are not in the store", mend="run `bluestone build --scratch`")
    with store.building(stage.key, _say), store.packages.in_use():
        if store.stages.state(stage.key, stage.tree) != "being proved":
            return
        began = time.monotonic()
        made = make_stage(lock, of_family, store, engine, _say, from_nothing=True)
    state = store.stages.state(stage.key, stage.tree)
    _say(f"{stage.key[:12]}: {state}, after {time.monotonic() - began:.1f} s (from nothing it is {made.tree})")


def _under_way(store: ImageStore) -> bool:
    with _alone(store) as alone:
        return not alone


@contextmanager
def _alone(store: ImageStore) -> Iterator[bool]:
    """Whether nobody else proves the stages of this store; nobody begins to while the context lasts."""
    with (private_directory(log_file(store).parent) / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def main(directory: str, engine: str) -> None:
    """Prove what is in the store of a directory, when nothing else wants the processor or the disk."""
    os.nice(19)
    module, _, kind = engine.partition(":")
    prove(ImageStore(Path(directory)), getattr(import_module(module), kind)())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
