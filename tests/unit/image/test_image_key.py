import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bluestone.image import build as build_module
from bluestone.image.archive import ResolvedBase
from bluestone.image.build import base_key, build_key, packages_of
from bluestone.image.sources import Source
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, OverlayFile, Recipe

ARCHIVE = ResolvedBase(
    "debian", "trixie", "amd64", Path("/k.gpg"), (Source("http://m.example.org/debian", "trixie", ("main",)),)
)


class Version:
    """An engine of which nothing but its version is asked."""

    name = "engine"

    def __init__(self, version: str = "1") -> None:
        self._version = version

    def version(self) -> str:
        return self._version

    def bootstrap(self, base: ResolvedBase, packages: Sequence[str], destination: Path, progress: object) -> None:
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
        build_key(one, ARCHIVE)
        for one in (
            recipe,
            replace(recipe, packages=("nginx", "curl")),
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
        build_key(recipe, replace(ARCHIVE, architecture="arm64")),
        build_key(recipe, replace(ARCHIVE, sources=())),
    ]
    (site / "sub" / "page").write_text("PAGE")
    keys.append(build_key(recipe, ARCHIVE))
    (site / "sub" / "page").chmod(0o755)
    keys.append(build_key(recipe, ARCHIVE))
    (site / "link").unlink()
    keys.append(build_key(recipe, ARCHIVE))
    (site / "empty").mkdir()
    keys.append(build_key(recipe, ARCHIVE))
    monkeypatch.setattr(build_module, "SHAPERS", build_module.SHAPERS[1:])
    keys.append(build_key(recipe, ARCHIVE))
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_change_with_what_is_no_input(recipe: Recipe, site: Path, tmp_path: Path) -> None:
    before = build_key(recipe, ARCHIVE)
    os.utime(site / "sub" / "page", (1, 1))
    moved = site.rename(tmp_path / "elsewhere")
    recipe = replace(recipe, files=(replace(recipe.files[0], source=moved),))
    assert build_key(recipe, ARCHIVE) == before


def test_the_base_depends_on_packages_archive_and_engine_alone(recipe: Recipe) -> None:
    before = base_key(recipe, ARCHIVE, Version())
    assert base_key(replace(recipe, files=(), run=("x",), units=("u",)), ARCHIVE, Version()) == before
    assert base_key(replace(recipe, packages=("curl",)), ARCHIVE, Version()) != before
    assert base_key(recipe, replace(ARCHIVE, suite="sid"), Version()) != before
    assert base_key(recipe, ARCHIVE, Version("2")) != before


def test_an_init_is_always_among_the_packages(recipe: Recipe) -> None:
    assert packages_of(recipe) == ["dbus", "nginx", "systemd-sysv"]


def test_a_source_that_is_missing_or_strange_is_named(recipe: Recipe, site: Path) -> None:
    gone = replace(recipe, files=(OverlayFile("/x", source=site / "gone"),))
    with pytest.raises(Problem, match=r"site/gone cannot be read") as missing:
        build_key(gone, ARCHIVE)
    assert "image.files" in missing.value.mend
    os.mkfifo(site / "pipe")
    with pytest.raises(Problem, match="neither a file nor a directory"):
        build_key(recipe, ARCHIVE)
