"""Stages, patches and their proofs, on an engine that takes no time: what is built around engines is real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bluestone.image import prove
from bluestone.image.build import build
from bluestone.image.builders.port import Engine
from bluestone.image.sandbox import enclosed
from bluestone.image.stages import Stage
from bluestone.image.store import ImageStore
from bluestone.image.tree import differences, manifest
from bluestone.image.verify import verify
from bluestone.model.image import Image
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, OverlayFile, Recipe
from fake_engine import Fake, Unchanging, Wrong, fake_lock

pytestmark = pytest.mark.e2e

TESTS = Path(__file__).parents[1]
OLD = {"web": "1", "lib": "1", "gone": "1"}
NEW = {"web": "2", "lib": "1", "more": "1s"}
RECIPE = Recipe(Base("debian", "trixie"), files=(OverlayFile("/srv/page", content="one\n", owner="www-data"),))


@pytest.fixture(autouse=True)
def engines_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers must find the engine, which is a test's."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture
def store() -> Iterator[ImageStore]:
    directory = Path(tempfile.mkdtemp(prefix="bs-t-", dir="/var/tmp"))
    yield ImageStore(directory / "images")
    shutil.rmtree(directory)


def make(
    store: ImageStore,
    versions: dict[str, str],
    engine: Engine | None = None,
    recipe: Recipe = RECIPE,
    said: Callable[[str], None] = print,
    *,
    scratch: bool = False,
) -> Image:
    lock = fake_lock(store.packages, versions)
    return build(recipe, lock, store, engine or Fake(), progress=said, scratch=scratch)


def only(stages: list[Stage]) -> Stage:
    (stage,) = stages
    return stage


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def text_of(image: Image) -> str:
    return (image.root.parent / "manifest").read_text()


def test_what_changed_decides_what_is_made_anew(store: ImageStore) -> None:
    said: list[str] = []
    first = make(store, OLD, said=said.append)
    assert "fake packages are installed" in said
    said.clear()
    page = Recipe(RECIPE.base, files=(OverlayFile("/srv/page", content="two\n", owner="www-data"),))
    second = make(store, OLD, recipe=page, said=said.append)
    assert said[0] == "laying the recipe over its packages"
    assert differences(text_of(first), text_of(second)) == ["/srv/page"]
    said.clear()
    make(store, NEW, recipe=page, said=said.append)
    assert "fake packages are changed" in said
    assert "fake packages are installed" not in said
    assert {stage.patched for stage in store.stages.list()} == {False, True}


def test_an_engine_that_cannot_change_a_tree_installs(store: ImageStore) -> None:
    make(store, OLD, Unchanging())
    make(store, NEW, Unchanging())
    assert [stage.patched for stage in store.stages.list()] == [False, False]


def test_stages_of_another_engine_are_not_built_upon(store: ImageStore) -> None:
    make(store, OLD, Wrong())
    make(store, NEW)
    assert [stage.patched for stage in store.stages.list()] == [False, False]


def test_a_patched_image_is_the_same_as_one_from_nothing_and_is_proved_in_the_background(store: ImageStore) -> None:
    old = make(store, OLD)
    patched = make(store, NEW)
    assert store.state(old.digest) == "proved"
    assert store.state(patched.digest) == "being proved"
    assert prove.begin(store, Fake())
    until(lambda: store.state(patched.digest) == "proved", prove.log_file(store).read_text())
    until(lambda: ": proved, after" in prove.log_file(store).read_text(), "the log tells of it")
    until(lambda: processes_with(f"bluestone.image.prove\0{store.directory}") == [], "it has ended")
    assert prove.begin(store, Fake()) is False, "nothing is left to be proved"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as other:
        assert make(ImageStore(Path(other) / "images"), NEW).digest == patched.digest
    assert verify(old) == verify(patched) == []
    assert not (patched.root / "var/log/dpkg.log").exists()
    assert not (patched.root / "usr/share/gone").exists()


def test_a_mismatch_blocks_the_image_and_says_what_differs(store: ImageStore) -> None:
    make(store, OLD, Wrong())
    wrong = make(store, NEW, Wrong())
    prove.prove(store, Wrong())
    assert store.state(wrong.digest) == "mismatch"
    with pytest.raises(Problem, match=r"differ in:\n     /etc/left-over\n") as refused:
        make(store, NEW, Wrong())
    assert "bluestone build --scratch" in refused.value.mend
    right = make(store, NEW, Wrong(), scratch=True)
    assert differences(text_of(wrong), text_of(right)) == ["/etc/left-over"]
    assert (store.state(right.digest), store.state(wrong.digest)) == ("proved", "mismatch")
    assert make(store, NEW, Wrong()) == right, "what was built from nothing is used from now on"
    assert wrong.root.is_dir(), "a server may run on it"
    newer = make(store, NEW | {"web": "3"}, Wrong())
    prove.prove(store, Wrong())
    assert store.state(newer.digest) == "mismatch"


def test_from_nothing_proves_at_once(store: ImageStore) -> None:
    make(store, OLD)
    patched = make(store, NEW)
    said: list[str] = []
    assert make(store, NEW, scratch=True, said=said.append) == patched
    assert "fake packages are installed" in said
    assert store.state(patched.digest) == "proved"
    assert store.stages.unproved() == []


def test_a_killed_proof_is_begun_again(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    make(store, OLD)
    patched = make(store, NEW)
    log = prove.log_file(store)
    with store.building(only(store.stages.unproved()).key, print):
        # It waits for the right to build, and is killed meanwhile.
        assert prove.begin(store, Fake())
        until(lambda: log.exists() and "waiting" in log.read_text(), "it waits")
        assert prove.begin(store, Fake()) is False, "one at a time"
        (prover,) = processes_with(f"bluestone.image.prove\0{store.directory}")
        os.kill(prover, signal.SIGKILL)
        until(lambda: processes_with(f"bluestone.image.prove\0{store.directory}") == [], "it is gone")
    assert store.state(patched.digest) == "being proved"
    # What was killed has no command line any more a moment before it lets go of its files.
    until(lambda: prove.begin(store, Fake()), "another begins")
    until(lambda: store.state(patched.digest) == "proved", "it is proved")
    until(lambda: processes_with(f"bluestone.image.prove\0{store.directory}") == [], "it has ended")


def processes_with(text: str) -> list[int]:
    """Living processes with this in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            dead = not entry.name.isdigit() or (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            if not dead and text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_one_that_fails_is_told_and_the_others_are_proved(
    store: ImageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    make(store, OLD)
    lost, proved = make(store, OLD | {"web": "2"}), make(store, OLD | {"lib": "2"})
    lock = fake_lock(store.packages, OLD | {"web": "2"})
    store.packages.remove(next(package.sha256 for package in lock.packages if package.name == "web"))
    prove.prove(store, Fake())
    assert "1 of its packages are not in the store" in capsys.readouterr().out
    assert store.state(lost.digest) == "being proved"
    assert store.state(proved.digest) == "proved"


def test_a_removed_image_or_stage_leaves_the_others_whole(store: ImageStore) -> None:
    first, second = make(store, OLD), make(store, NEW)
    (of_first,) = (stage for stage in store.stages.list() if not stage.patched)
    shared = "usr/share/lib/content"
    assert (first.root / shared).samefile(of_first.directory / "root" / shared)
    assert (first.root / shared).samefile(second.root / shared), "what did not change is there once"
    assert not (first.root / "usr/bin/web").samefile(second.root / "usr/bin/web")
    store.remove(first.digest)
    assert store.stages.remove(of_first.key)
    assert verify(second) == []
    assert manifest(second.root) == text_of(second)
    assert list(store.directory.glob(".work-*")) == []


def test_stages_are_garbage_but_while_they_are_needed(store: ImageStore) -> None:
    make(store, OLD)
    of_old = only(store.stages.list())
    assert of_old.size == sum(path.stat().st_size for path in (of_old.directory / "root").rglob("*") if is_file(path))
    assert of_old.lock == fake_lock(store.packages, OLD)
    before = of_old.last_use
    with store.stages.in_use(of_old.key) as held:
        assert held is not None
        assert not store.stages.remove(of_old.key)
    assert only(store.stages.list()).last_use >= before
    patched = make(store, NEW)
    unproved = only(store.stages.unproved())
    assert not store.stages.remove(unproved.key), "it is still to be proved"
    assert store.stages.remove(of_old.key)
    assert store.stages.remove(of_old.key), "it is gone already"
    prove.prove(store, Fake())
    assert store.stages.remove(unproved.key)
    assert store.stages.list() == []
    assert store.state(patched.digest) == "proved", "that is known for good"


def is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def test_on_a_full_disk_no_half_made_stage_is_visible(store: ImageStore, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("machine: only root mounts a small disk")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    try:
        full = ImageStore(small / "images")
        make(full, OLD)
        page = Recipe(RECIPE.base, files=(OverlayFile("/srv/page", content="x" * (1 << 20)),))
        with pytest.raises(Problem, match="disk is full"):
            make(full, NEW, recipe=page)
        assert len(full.list()) == 1
        with pytest.raises(Problem, match="disk is full"):
            make(full, OLD, recipe=page)
        assert all(verify(image) == [] for image in full.list())
        assert list(full.directory.glob(".work-*")) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_all_routes_give_one_tree() -> None:
    """Properties that need mounts: tried within the wall that workers have (`inside_stages`)."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / "e2e/inside_stages.py")]
    done = subprocess.run(enclosed(command), capture_output=True, text=True, check=False, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout, done.stdout
