import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.overlay import lay, make_directory, owner_ids, within
from bluestone.model.problem import Problem
from bluestone.model.recipe import OverlayFile

ME = f"{os.getuid()}:{os.getgid()}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "root"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n")
    (tree / "etc" / "group").write_text("root:x:0:\nwww-data:x:33:\nadm:x:4:\n")
    return tree


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    directory = tmp_path / "outside"
    directory.mkdir()
    return directory


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_text_is_laid_with_its_mode(root: Path) -> None:
    lay(OverlayFile("/opt/new/file", content="text", mode=0o600, owner=ME), root)
    assert (root / "opt/new/file").read_text() == "text"
    assert mode(root / "opt/new/file") == 0o600
    assert mode(root / "opt/new") == 0o755


def test_a_directory_is_laid_into_one_that_is_there(root: Path, outside: Path) -> None:
    (outside / "sub").mkdir()
    (outside / "sub" / "run").write_text("#!/bin/sh\n")
    (outside / "sub" / "run").chmod(0o700)
    (outside / "page").write_text("page")
    (outside / "page").chmod(0o600)
    (outside / "link").symlink_to("page")
    (root / "srv").mkdir()
    (root / "srv" / "page").write_text("old")
    (root / "srv" / "stays").write_text("stays")
    lay(OverlayFile("/srv", source=outside, owner=ME), root)
    assert (root / "srv/page").read_text() == "page"
    assert (root / "srv/stays").read_text() == "stays"
    assert (root / "srv/link").readlink() == Path("page")
    assert (mode(root / "srv/page"), mode(root / "srv/sub/run")) == (0o644, 0o755)


def test_a_link_at_the_end_is_replaced_and_what_it_led_to_stays(root: Path) -> None:
    (root / "etc" / "available").write_text("stays")
    (root / "etc" / "enabled").symlink_to("available")
    lay(OverlayFile("/etc/enabled", content="new", owner=ME), root)
    assert not (root / "etc/enabled").is_symlink()
    assert (root / "etc/available").read_text() == "stays"


def test_no_link_leads_out_of_the_tree(root: Path, outside: Path) -> None:
    (root / "absolute").symlink_to(outside)
    (root / "relative").symlink_to("../outside")
    site = root.parent / "site"
    (site / "absolute").mkdir(parents=True)
    (site / "absolute" / "x").write_text("x")
    lay(OverlayFile("/absolute/file", content="x", owner=ME), root)
    lay(OverlayFile("/relative/file", content="x", owner=ME), root)
    lay(OverlayFile("/absolute", source=site, owner=ME), root)
    lay(OverlayFile("/", source=site, owner=ME), root)
    assert list(outside.iterdir()) == []
    assert (root / str(outside).lstrip("/") / "x").read_text() == "x"
    assert (root / "outside" / "file").read_text() == "x"


def test_a_circle_of_links_ends(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(Problem, match="too many links"):
        within(root, "/a/file")


@given(st.lists(st.sampled_from(["..", ".", "etc", "new", "up", "abs"]), max_size=8))
def test_every_path_stays_inside(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    root = tmp_path_factory.mktemp("tree")
    (root / "up").symlink_to("../../..")
    (root / "abs").symlink_to("/etc/../..")
    assert within(root, "/" + "/".join(parts), last=True).is_relative_to(root)


def test_owners_are_those_of_the_image(root: Path) -> None:
    assert owner_ids(root, "www-data") == (33, 33)
    assert owner_ids(root, "www-data:adm") == (33, 4)
    assert owner_ids(root, "7:8") == (7, 8)
    with pytest.raises(Problem, match='no user is called "nobody-here"'):
        owner_ids(root, "nobody-here")
    with pytest.raises(Problem, match='no group is called "none"'):
        owner_ids(root, "root:none")


def test_a_file_over_a_directory_and_below_a_file_are_refused(root: Path) -> None:
    with pytest.raises(Problem, match="etc is a directory"):
        lay(OverlayFile("/etc", content="x", owner=ME), root)
    with pytest.raises(Problem, match="passwd is no directory"):
        lay(OverlayFile("/etc/passwd/x", content="x", owner=ME), root)


def test_a_fifo_is_refused_and_not_waited_for(root: Path, outside: Path) -> None:
    os.mkfifo(outside / "pipe")
    with pytest.raises(Problem, match="neither a file nor a directory"):
        lay(OverlayFile("/srv", source=outside, owner=ME), root)


def test_a_directory_is_found_behind_a_link(root: Path) -> None:
    (root / "run").mkdir()
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    assert make_directory(root, "/var/run/nginx", os.getuid(), os.getgid()) == root / "run" / "nginx"
