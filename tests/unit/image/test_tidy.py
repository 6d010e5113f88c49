"""What is of the host or the day does not stay in a tree, whatever it is there as."""

from __future__ import annotations

from pathlib import Path

from bluestone.image.normalise import tidy


def test_a_link_to_an_initrd_goes_as_the_initrd_does(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/initrd.img-6.12").touch()
    (tmp_path / "boot/vmlinuz-6.12").touch()
    (tmp_path / "initrd.img").symlink_to("boot/initrd.img-6.12")
    (tmp_path / "vmlinuz").symlink_to("boot/vmlinuz-6.12")
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boot", "etc", "vmlinuz"]
    assert [path.name for path in (tmp_path / "boot").iterdir()] == ["vmlinuz-6.12"]


def test_what_is_in_the_way_of_a_name_is_left(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/apt").write_text("no directory")
    tidy(tmp_path)
    assert (tmp_path / "etc/apt").read_text() == "no directory"
