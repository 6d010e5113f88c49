from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.app.image import choose
from bluestone.app.image.choose import chosen
from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.image.store import Facts, ImageStore
from bluestone.model.declaration import Declaration
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, Recipe

AT = datetime(2026, 11, 23, tzinfo=UTC)
ONE, OTHER = "sha256:12ab" + "0" * 60, "sha256:12cd" + "0" * 60
KEY = "a" * 64


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    store = ImageStore(tmp_path / "images")
    for digest, key in ((ONE, KEY), (OTHER, "b" * 64)):
        with store.workplace() as work:
            (work / "root").mkdir()
            (work / "manifest").write_text("")
            store.add(work, Facts(digest, key, 1, 1, (), (), AT))
    monkeypatch.setattr(choose, "peek", lambda _: Lock("debian:trixie", "amd64", 0, (), (), ()))
    monkeypatch.setattr(choose, "image_key", lambda *_: KEY)
    declaration = Declaration("web", Recipe(Base("debian", "trixie")), ())
    return Project(declaration, Home(tmp_path, tmp_path / "run"))


def test_an_image_is_found_by_as_much_of_its_digest_as_is_its_own(project: Project) -> None:
    assert chosen(project, "12a").digest == ONE
    assert chosen(project, "12C").digest == OTHER
    assert chosen(project, OTHER).digest == OTHER


def test_without_a_digest_it_is_the_declared_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(project, None).digest == ONE
    monkeypatch.setattr(choose, "image_key", lambda *_: "c" * 64)
    with pytest.raises(Problem, match="not built"):
        chosen(project, None)
    monkeypatch.setattr(choose, "peek", lambda _: None)
    with pytest.raises(Problem, match="not built"):
        chosen(project, None)


@pytest.mark.parametrize(
    ("text", "what"),
    [("12", "2 images have digests that begin with 12: 12ab0000, 12cd0000"), ("ff", "no image"), ("web", "no digest")],
)
def test_what_names_no_single_image_is_refused(project: Project, text: str, what: str) -> None:
    with pytest.raises(Problem, match=what):
        chosen(project, text)
