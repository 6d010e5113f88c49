"""Properties of stages and of what is laid over them. `test_image_stages` runs this file where mounts end with it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.image import assemble, install
from bluestone.image.assembly import Assembly
from bluestone.image.derive import Derived, derive
from bluestone.image.normalise import backdate, settle
from bluestone.image.packagestore import PackageStore
from bluestone.image.route import engine_name
from bluestone.image.tree import Entry, digest, manifest
from bluestone.model.lock import Lock
from bluestone.model.recipe import Base, OverlayFile, Recipe
from fake_engine import Fake, fake_lock

FEW = settings(max_examples=40)

# A few paths, so that what is done meets what was done before.
paths = st.lists(st.sampled_from(["a", "b", "c d", "é%"]), min_size=1, max_size=3).map("/".join)
contents = st.sampled_from(["", "x", "y"])
steps = st.one_of(
    st.tuples(st.just("write"), paths, contents),
    st.tuples(st.just("keep time"), paths, contents),
    st.tuples(st.just("directory"), paths, st.sampled_from([0o755, 0o700, 0o2775])),
    st.tuples(st.just("symlink"), paths, paths),
    st.tuples(st.just("hard link"), paths, paths),
    st.tuples(st.just("rename"), paths, paths),
    st.tuples(st.just("remove"), paths, st.none()),
    st.tuples(st.just("anew"), paths, st.none()),
    st.tuples(st.just("chmod"), paths, st.sampled_from([0o600, 0o755, 0o4755])),
    st.tuples(st.just("chown"), paths, st.sampled_from([0, 33])),
    st.tuples(st.just("fifo"), paths, st.none()),
)
histories = st.lists(steps, max_size=12)


def follow_history(history: list[tuple[str, str, object]]) -> Callable[[Path], None]:
    """What a recipe could do to a tree; a step that cannot be is left out."""

    def shape(root: Path) -> None:
        for step, name, more in history:
            try:
                take(step, root, root / name, more)
            except OSError:
                continue

    return shape


def take(step: str, root: Path, path: Path, more: object) -> None:
    if step == "write":
        path.write_text(str(more))
    elif step == "keep time":
        time = path.stat().st_mtime_ns
        path.write_text(str(more))
        os.utime(path, ns=(time, time))
    elif step == "directory":
        path.mkdir()
        path.chmod(int(str(more)))
    elif step == "symlink":
        path.symlink_to(str(more))
    elif step == "hard link":
        path.hardlink_to(root / str(more))
    elif step == "rename":
        if path.is_dir():
            return  # Of a directory below an overlay, the kernel leaves renaming to those who can copy.
        path.rename(root / str(more))
    elif step == "remove":
        remove(path)
    elif step == "anew":
        remove(path)
        path.mkdir()
        (path / "new").touch()
    elif step == "chmod":
        if not path.is_symlink():
            path.chmod(int(str(more)))
    elif step == "chown":
        os.chown(path, int(str(more)), int(str(more)), follow_symlinks=False)
    elif step == "fifo":
        os.mkfifo(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def workplace() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bs-in-", dir="/var/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def overlays() -> None:
    with workplace() as place:
        stage = grown(place, [])
        if not derived(stage, place, "probe", [])[1]:
            pytest.skip("machine: the kernel mounts no overlay here")


def grown(place: Path, history: list[tuple[str, str, object]]) -> Path:
    """A stage that came about so."""
    stage = place / "stage"
    (stage / "root").mkdir(parents=True)
    follow_history(history)(stage / "root")
    backdate(stage / "root")
    (stage / "manifest").write_text(manifest(stage / "root"))
    return stage


def derived(
    stage: Path, place: Path, name: str, history: list[tuple[str, str, object]], *, overlay: bool = True
) -> tuple[Derived, bool]:
    """What a history makes of a stage; and whether that was by an overlay."""
    work = place / name
    work.mkdir()
    shaped = []

    def shape(root: Path) -> None:
        shaped.append(root.name)
        follow_history(history)(root)

    made = derive(stage, work, shape, settle, overlay=overlay)
    assert manifest(work / "root") == made.manifest, "the manifest is that of the tree"
    return made, shaped == ["view"]


@FEW
@given(before=histories, history=histories)
@pytest.mark.usefixtures("overlays")
def test_an_overlay_and_a_copy_give_the_same_tree(
    before: list[tuple[str, str, object]], history: list[tuple[str, str, object]]
) -> None:
    with workplace() as place:
        stage = grown(place, before)
        text = (stage / "manifest").read_text()
        by_overlay, _ = derived(stage, place, "overlay", history)
        assert manifest(stage / "root") == text, "what it was made from stays as it is"
        by_copy, _ = derived(stage, place, "copy", history, overlay=False)
        assert by_overlay == by_copy
        shutil.rmtree(stage)
        assert manifest(place / "overlay/root") == by_overlay.manifest, "it needs no other tree"
        left = [
            name for path in (place / "overlay/root").rglob("*") for name in os.listxattr(path, follow_symlinks=False)
        ]
        assert left == []


@FEW
@given(history=histories)
@pytest.mark.usefixtures("overlays")
def test_what_changed_is_told(history: list[tuple[str, str, object]]) -> None:
    with workplace() as place:
        stage = grown(place, [("directory", "a", 0o755), ("write", "a/b", "x"), ("write", "b", "y")])
        made, _ = derived(stage, place, "work", history)
        old, new = (
            {Entry.parse(line).path: line for line in text.splitlines()}
            for text in ((stage / "manifest").read_text(), made.manifest)
        )
        different = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
        assert list(made.changed) == different


packages = st.dictionaries(st.sampled_from(["app", "lib", "web", "tool"]), st.sampled_from(["1", "2", "2s", "3"]))
files = st.dictionaries(
    st.sampled_from(["/etc/app.conf", "/usr/share/lib/extra", "/usr/bin/web", "/srv/x y"]),
    st.tuples(contents, st.sampled_from([None, 0o600]), st.sampled_from(["root:root", "www-data:adm"])),
)


def recipe_of(laid: dict[str, tuple[str, int | None, str]]) -> Recipe:
    listed = tuple(OverlayFile(target, None, *rest) for target, rest in sorted(laid.items()))
    return Recipe(Base("debian", "trixie"), files=listed, writable=("/var/lib/app",))


def stage_of(lock: Lock, store: PackageStore, work: Path, below: Path | None = None, before: Lock | None = None) -> str:
    (work / "packages").mkdir(parents=True)
    text, _ = install.install(install.Order(engine_name(Fake()), lock, store.directory, work, below, before))
    (work / "manifest").write_text(text)
    return digest(text)


@FEW
@given(versions=st.lists(packages, min_size=2, max_size=4), laid=files)
@pytest.mark.usefixtures("overlays")
def test_whatever_the_upgrades_all_routes_give_one_image(
    versions: list[dict[str, str]], laid: dict[str, tuple[str, int | None, str]]
) -> None:
    recipe = recipe_of(laid)
    with workplace() as place:
        store = PackageStore(place / "packages")
        locks = [fake_lock(store, each) for each in versions]
        stage_of(locks[0], store, place / "0")
        for number in range(1, len(locks)):
            stage_of(locks[number], store, place / str(number), place / str(number - 1), locks[number - 1])
        patched, scratch = place / str(len(locks) - 1), place / "scratch"
        stage_of(locks[-1], store, scratch)
        assert (patched / "manifest").read_text() == (scratch / "manifest").read_text()
        images = []
        for stage in (patched, scratch):
            work = stage / "image"
            work.mkdir()
            images.append(assemble.assemble(Assembly(stage, work, recipe, 10.0)))
            assert manifest(work / "root") == images[-1].manifest
        assert images[0] == images[1]


def test_where_no_attribute_can_be_set_a_copy_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "not supported")

    history: list[tuple[str, str, object]] = [("directory", "a", 0o755), ("write", "a/b", "x")]
    with workplace() as place:
        stage = grown(place, history)
        monkeypatch.setattr(os, "setxattr", refuse)
        made, _ = derived(stage, place, "work", [("anew", "a", None)])
        monkeypatch.undo()
        again, _ = derived(stage, place, "again", [("anew", "a", None)])
        assert made == again
        assert not (place / "work/view").exists()
