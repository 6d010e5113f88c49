"""Servers are started of images that their project signed, and of no others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.image.provenance import HELD, attest, require_signed
from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.image import checks, provenance
from bluestone.image.lock.file import digest as lock_digest
from bluestone.image.lock.file import render
from bluestone.image.sbom import bills
from bluestone.image.signing import PublicKey
from bluestone.image.store import LOCK, Facts
from bluestone.model.declaration import Declaration
from bluestone.model.ids import Digest
from bluestone.model.image import Image
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe
from lock_examples import LOCK as PINS

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RECIPE = Recipe(Base("debian", "trixie"))
MANIFEST = "dir 0755 0 0 1000000000 0 - - srv\n"


@dataclass
class World:
    """A home with an image of a build that was recorded, and projects that share it."""

    home: Home

    def project(self, name: str) -> Project:
        return Project(Declaration(name, RECIPE, ()), self.home, self.home.state / f"{name}.toml")

    def image(self) -> Image:
        build = provenance.Build(
            "k", provenance.parameters(RECIPE), lock_digest(PINS), "e", "1", "1", "urn:uuid:1", NOW, NOW
        )
        store = wiring.images(self.project("web"))
        digest = f"sha256:{hashlib.sha256(MANIFEST.encode()).hexdigest()}"
        with store.workplace() as work:
            (work / "root" / "srv").mkdir(parents=True)
            (work / "manifest").write_text(MANIFEST)
            (work / LOCK).write_text(render(PINS))
            (work / provenance.FILE).write_bytes(msgspec.json.encode(build))
            for name in (bills.CYCLONEDX, bills.SPDX):
                (work / name).write_text("{}")
            return store.add(work, Facts(digest, "1" * 64, 1, 1, (), (), NOW))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Home(tmp_path, tmp_path / "run"))


def files(image: Image, suffix: str) -> list[Path]:
    return sorted((image.root.parent / provenance.DIRECTORY).glob(f"*{suffix}"))


def test_what_a_project_signed_it_starts_and_what_nobody_signed_it_does_not(world: World) -> None:
    web, other, image = world.project("web"), world.project("other"), world.image()
    with pytest.raises(Problem, match="starts no servers of the image"):
        require_signed(web, image)
    attest(web, image)
    require_signed(web, image)
    with pytest.raises(Problem, match="other starts no servers"):
        require_signed(other, image)
    attest(other, image)
    require_signed(other, image)
    require_signed(web, image)


def test_it_is_checked_once_until_anything_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    web, image = world.project("web"), world.image()
    attest(web, image)
    looked: list[Image] = []
    signature = checks.signature

    def look(image: Image, keys: Sequence[PublicKey]) -> tuple[checks.Check, provenance.Statement | None]:
        looked.append(image)
        return signature(image, keys)

    monkeypatch.setattr(checks, "signature", look)
    require_signed(web, image)
    attest(web, image)
    assert looked == []
    attest(world.project("other"), image)
    looked.clear()
    require_signed(web, image)
    assert len(looked) == 1, "another signature came"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda directory: _edit(next(directory.glob("provenance/*.json")), b"=", b"A"), "no statement"),
        (lambda directory: next(directory.glob("provenance/*.json")).write_bytes(b""), "damaged"),
        (lambda directory: next(directory.glob("provenance/*.json")).unlink(), "there is none"),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(world: World, change: Callable[[Path], None], what: str) -> None:
    web, image = world.project("web"), world.image()
    attest(web, image)
    change(image.root.parent)
    with pytest.raises(Problem, match=what) as raised:
        require_signed(web, image)
    assert "bluestone verify" in raised.value.mend


def test_a_signature_on_another_image_is_refused(world: World) -> None:
    web, image = world.project("web"), world.image()
    attest(web, image)
    (held,) = files(image, HELD)
    held.unlink()
    other = replace(image, digest=Digest("sha256:" + "ab" * 32))
    with pytest.raises(Problem, match="it is on another image"):
        require_signed(web, other)


def test_a_manifest_that_was_changed_is_refused(world: World) -> None:
    web, image = world.project("web"), world.image()
    attest(web, image)
    for held in files(image, HELD):
        held.unlink()
    (image.root.parent / "manifest").write_text(MANIFEST.replace("0755", "0777"))
    with pytest.raises(Problem, match="manifest is not what it is named after"):
        require_signed(web, image)


def _edit(file: Path, old: bytes, new: bytes) -> None:
    file.write_bytes(file.read_bytes().replace(old, new, 1))
