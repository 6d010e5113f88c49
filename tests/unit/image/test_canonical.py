"""One form of a tree, whatever the order in which things came into it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluestone.image.canonical import canonicalise, lines, listing, stanzas, sums, triples
from bluestone.model.problem import Problem

PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
GROUP = "root:x:0:\n"


def tree(root: Path, names: list[str], chance: Random) -> None:
    """A tree of packages of these names, which came into it in this order."""
    info, triggers = root / "var/lib/dpkg/info", root / "var/lib/dpkg/triggers"
    for directory in (info, triggers, root / "etc/systemd/system/timers.target.wants", root / "usr/lib"):
        directory.mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    if not os.geteuid():
        (root / "var/lib/apt/lists/partial").mkdir(parents=True, mode=chance.choice([0o700, 0o755]))
        os.chown(root / "var/lib/apt/lists/partial", chance.choice([0, 42]), 0)
    status = ""
    passwd, group, diversions, file = PASSWD, GROUP, "", ""
    for number, name in enumerate(names):
        paths = [f"/usr/share/{name}", "/.", f"/usr/bin/{name}", "/usr"]
        chance.shuffle(paths)
        (info / f"{name}.list").write_text("".join(f"{path}\n" for path in paths))
        status += f"Package: {name}\nStatus: install ok installed\nDescription: x\n .\n y\n\n"
        passwd += f"{name}:x:{900 - number}:{900 - number}::/:/bin/false\n"
        group += f"{name}:x:{900 - number}:\n"
        diversions += f"/bin/{name}\n/bin/{name}.orig\n{name}\n"
        file += f"/usr/share/{name} {name}/noawait\n"
        link = root / f"etc/systemd/system/timers.target.wants/{name}.timer"
        link.symlink_to(f"{chance.choice(['', '/usr'])}/lib/systemd/system/{name}.timer")
        owned = root / f"usr/lib/{name}"
        owned.write_text(name)
        if not os.geteuid():
            os.chown(owned, 900 - number, 900 - number)
            owned.chmod(0o4750)
    (root / "etc/passwd").write_text(passwd)
    (root / "etc/group").write_text(group)
    (root / "var/lib/dpkg/status").write_text(status)
    (root / "var/lib/dpkg/diversions").write_text(diversions)
    (triggers / "File").write_text(file)


def described(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, content)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(
    st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), min_size=1, max_size=6, unique=True), st.integers(0, 2**32)
)
def test_any_order_of_packages_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], seed: int
) -> None:
    chance = Random(seed)
    trees = []
    for order in (sorted(names), chance.sample(names, len(names))):
        root = tmp_path_factory.mktemp("tree")
        tree(root, order, chance)
        canonicalise(root, 1)
        trees.append(described(root))
    assert trees[0] == trees[1]


def test_a_tree_in_its_form_is_not_written_to(tmp_path: Path) -> None:
    tree(tmp_path, ["web", "db"], Random(1))
    canonicalise(tmp_path, 1)
    before = {path: path.lstat().st_ctime_ns for path in tmp_path.rglob("*")}
    canonicalise(tmp_path, 1)
    assert {path: path.lstat().st_ctime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: only root gives files away")
def test_files_go_with_their_owners_and_keep_their_modes(tmp_path: Path) -> None:
    tree(tmp_path, ["web", "db"], Random(1))
    canonicalise(tmp_path, 1)
    numbers = {row.split(":")[0]: int(row.split(":")[2]) for row in (tmp_path / "etc/passwd").read_text().splitlines()}
    for name in ("web", "db"):
        status = (tmp_path / f"usr/lib/{name}").stat()
        assert (status.st_uid, status.st_gid) == (numbers[name], numbers[name]) != (900, 900)
        assert stat.S_IMODE(status.st_mode) == 0o4750


def test_nothing_is_lost_by_ordering() -> None:
    assert stanzas(b"Package: b\nX: 1\n\nPackage: a\n\n") == b"Package: a\n\nPackage: b\nX: 1\n\n"
    assert triples(b"/b\n/b.x\nq\n/a\n/a.x\np\n") == b"/a\n/a.x\np\n/b\n/b.x\nq\n"
    assert listing(b"/usr/share/man/man1/x.1\n/usr/share/man\n/.\n") == b"/.\n/usr/share/man\n"
    assert sums({b"/usr/a b"}, b"0  usr/a b\n1  usr/share/man/x\n") == b"0  usr/a b\n"
    assert lines(b"/usr\n/.\n") == b"/.\n/usr\n"


def test_what_is_another_each_time_goes_with_the_links_to_it(tmp_path: Path) -> None:
    tree(tmp_path, ["db"], Random(1))
    cluster = tmp_path / "var/lib/postgresql/17/main"
    (cluster / "base").mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    certificates, alternatives = tmp_path / "etc/ssl/certs", tmp_path / "etc/alternatives"
    certificates.mkdir(parents=True)
    alternatives.mkdir()
    (certificates / "0a1b2c3d.0").symlink_to("ssl-cert-snakeoil.pem")
    (certificates / "11112222.0").symlink_to("ISRG_Root_X1.pem")
    (alternatives / "pager").symlink_to("/bin/less")
    (alternatives / "pager.1.gz").symlink_to("/usr/share/man/man1/less.1.gz")
    canonicalise(tmp_path, 1)
    assert [path.name for path in certificates.iterdir()] == ["11112222.0"]
    assert [path.name for path in alternatives.iterdir()] == ["pager"]
    assert list((tmp_path / "var/lib/postgresql/17").iterdir()) == []


def test_accounts_that_are_none_are_a_problem(tmp_path: Path) -> None:
    tree(tmp_path, ["db"], Random(1))
    (tmp_path / "etc/group").write_text("what\n")
    with pytest.raises(Problem, match="etc/group has a row that is no account: what"):
        canonicalise(tmp_path, 1)


@pytest.mark.parametrize(("listed", "kept"), [("amd64\n", False), ("amd64\ni386\n", True)])
def test_architectures_are_listed_where_there_are_several(tmp_path: Path, listed: str, kept: bool) -> None:
    tree(tmp_path, ["db"], Random(1))
    (tmp_path / "var/lib/dpkg/arch").write_text(listed)
    canonicalise(tmp_path, 1)
    assert (tmp_path / "var/lib/dpkg/arch").exists() == kept
