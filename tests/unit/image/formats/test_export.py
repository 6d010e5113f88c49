from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.image.formats import export as export_module
from bluestone.image.formats import oci, tar
from bluestone.image.formats.export import Export, Format, export
from bluestone.model.ids import Digest
from bluestone.model.image import Image
from bluestone.model.problem import Problem

IMAGE = Image(Digest("sha256:" + "ab" * 32), "key", Path("/nowhere"), 1, 1, (), (), datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def packers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Packers that write little."""

    def make_tar(root: Path, destination: Path, progress: object) -> int:
        destination.write_text("new")
        return 3

    def make_oci(root: Path, destination: Path, name: str, progress: object, **options: object) -> oci.OciFacts:
        destination.mkdir()
        (destination / "oci-layout").write_text(name)
        return oci.OciFacts("sha256:" + "cd" * 32, 7)

    monkeypatch.setattr(tar, "make_tar", make_tar)
    monkeypatch.setattr(oci, "make_oci", make_oci)
    yield


def run(destination: Path, wanted: Format, *, force: bool = False) -> Export:
    return export(IMAGE, destination, wanted, "web", print, force=force, find_tools=lambda: pytest.fail("no tools"))


def test_a_file_is_written_and_described(tmp_path: Path) -> None:
    done = run(tmp_path / "a.tar", "tar")
    assert (tmp_path / "a.tar").read_text() == "new"
    assert (done.size, done.image) == (3, IMAGE.digest)
    assert done.digest == "sha256:11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_what_is_there_is_replaced_by_force_alone(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_text("old")
    with pytest.raises(Problem, match="is there already"):
        run(place, "tar")
    assert place.read_text() == "old"
    run(place, "oci", force=True)
    assert (place / "oci-layout").read_text() == "web:abababab"
    with pytest.raises(Problem, match="is there already"):
        run(place, "oci")
    run(place, "oci", force=True)
    run(place, "tar", force=True)
    assert place.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_no_other_directory_is_ever_replaced(tmp_path: Path) -> None:
    place = tmp_path / "precious"
    place.mkdir()
    (place / "file").write_text("old")
    for wanted in ("oci", "tar"):
        with pytest.raises(Problem, match="is a directory"):
            run(place, wanted, force=True)
    with pytest.raises(Problem, match="no ordinary file"):
        run(Path("/dev/null"), "tar", force=True)
    with pytest.raises(Problem, match="there is no directory"):
        run(tmp_path / "none" / "a", "tar")
    assert (place / "file").read_text() == "old"


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a"
    place.write_text("old")

    def fail(*_: object) -> int:
        raise Problem("no")

    monkeypatch.setattr(tar, "make_tar", fail)
    with pytest.raises(Problem, match="no"):
        run(place, "tar", force=True)
    assert place.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_place_that_cannot_be_taken_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft, place = tmp_path / "draft", tmp_path / "place"
    place.mkdir()
    with pytest.raises(OSError, match="draft"):
        export_module._place(draft, place)
    assert place.is_dir()
