import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.image import build as build_module
from bluestone.image.build import build_key, packages_of
from bluestone.image.packagestore import PackageStore
from bluestone.image.route import family, stage_key
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, OverlayFile, Recipe
from lock_examples import LOCK, package


class Version:
    """An engine of which nothing but its version is asked."""

    name = "engine"

    def __init__(self, version: str = "1") -> None:
        self._version = version

    def version(self) -> str:
        return self._version

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: object) -> None:
        pytest.fail("nothing is to be built")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    directory = tmp_path / "site"
    (directory / "sub").mkdir(parents=True)
    (directory / "sub" / "page").write_text("page")
    (directory / "link").symlink_to("sub/page")
    return directory


@pytest.fixture
def recipe(site: Path) -> Recipe:
    return Recipe(Base("debian", "trixie"), packages=("nginx",), files=(OverlayFile("/srv", source=site),))


def test_the_key_changes_with_every_input(recipe: Recipe, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = recipe.files[0]
    keys = [
        build_key(one, LOCK)
        for one in (
            recipe,
            replace(recipe, units=("nginx.service",)),
            replace(recipe, run=("true",)),
            replace(recipe, writable=("/var/x",)),
            replace(recipe, files=(replace(file, target="/opt"),)),
            replace(recipe, files=(replace(file, mode=0o600),)),
            replace(recipe, files=(replace(file, owner="www-data"),)),
            replace(recipe, files=(OverlayFile("/srv", content="page"),)),
        )
    ]
    keys += [
        build_key(recipe, replace(LOCK, architecture="arm64")),
        build_key(recipe, replace(LOCK, packages=LOCK.packages[1:])),
        build_key(recipe, replace(LOCK, packages=(*LOCK.packages[:2], package(digit="9")))),
        build_key(recipe, replace(LOCK, tools={})),
    ]
    (site / "sub" / "page").write_text("PAGE")
    keys.append(build_key(recipe, LOCK))
    (site / "sub" / "page").chmod(0o755)
    keys.append(build_key(recipe, LOCK))
    (site / "link").unlink()
    keys.append(build_key(recipe, LOCK))
    (site / "empty").mkdir()
    keys.append(build_key(recipe, LOCK))
    monkeypatch.setattr(build_module, "SHAPERS", build_module.SHAPERS[1:])
    keys.append(build_key(recipe, LOCK))
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_change_with_what_is_no_input(recipe: Recipe, site: Path, tmp_path: Path) -> None:
    before = build_key(recipe, LOCK)
    os.utime(site / "sub" / "page", (1, 1))
    moved = site.rename(tmp_path / "elsewhere")
    recipe = replace(recipe, files=(replace(recipe.files[0], source=moved),))
    assert build_key(recipe, LOCK) == before
    # Where the packages come from, and who asked for them, is not in the tree.
    assert build_key(replace(recipe, base=Base("debian", "trixie", "http://m.example.org/debian")), LOCK) == before
    elsewhere = tuple(replace(each, archive="security", path=f"x/{each.path}") for each in LOCK.packages)
    assert build_key(recipe, replace(LOCK, packages=elsewhere, asked=(), releases=(), inputs={}, date=1)) == before


def test_a_stage_depends_on_packages_and_engine_alone() -> None:
    def key(lock: Lock, engine: Version) -> str:
        return stage_key(lock, family(lock, engine))

    before = key(LOCK, Version())
    assert key(replace(LOCK, date=1, inputs={}, tools={}), Version()) == before
    assert key(replace(LOCK, packages=LOCK.packages[:2]), Version()) != before
    assert key(replace(LOCK, base="debian:sid"), Version()) != before
    assert key(replace(LOCK, architecture="arm64"), Version()) != before
    assert key(LOCK, Version("2")) != before


def test_an_init_is_always_among_the_packages(recipe: Recipe) -> None:
    assert packages_of(recipe) == ["dbus", "nginx", "systemd-sysv"]


def test_a_source_that_is_missing_or_strange_is_named(recipe: Recipe, site: Path) -> None:
    gone = replace(recipe, files=(OverlayFile("/x", source=site / "gone"),))
    with pytest.raises(Problem, match=r"site/gone cannot be read") as missing:
        build_key(gone, LOCK)
    assert "image.files" in missing.value.mend
    os.mkfifo(site / "pipe")
    with pytest.raises(Problem, match="neither a file nor a directory"):
        build_key(recipe, LOCK)
