from pathlib import Path

import pytest

from bluestone.image.archive import architecture, host_base, resolve
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base

DEBIAN = """\
Types: deb
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://security.example.org/debian-security
Suites: bookworm-security
Components: main
"""
UBUNTU = """\
Types: deb
URIs: http://archive.example.org/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://security.example.org/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
"""


class Host:
    """A made-up host: its apt, its os-release, its keyrings."""

    def __init__(self, directory: Path, distribution: str, release: str) -> None:
        self.apt = directory / "apt"
        (self.apt / "sources.list.d").mkdir(parents=True)
        self.os_release = directory / "os-release"
        self.os_release.write_text(f'NAME="X"\nID={distribution}\nVERSION_CODENAME="{release}"\n')
        self.keyrings = directory / "keyrings"
        self.keyrings.mkdir()
        for name in ("debian", "ubuntu"):
            (self.keyrings / f"{name}-archive-keyring.gpg").touch()

    def has(self, name: str, text: str) -> None:
        (self.apt / name).write_text(text)

    def sources(self, base: Base) -> list[tuple[str, str, str]]:
        found = resolve(base, apt=self.apt, os_release=self.os_release, keyrings=self.keyrings)
        return [(source.uri, source.suite, " ".join(source.components)) for source in found.sources]

    def problem(self, base: Base) -> Problem:
        with pytest.raises(Problem) as raised:
            self.sources(base)
        return raised.value


@pytest.fixture
def debian(tmp_path: Path) -> Host:
    return Host(tmp_path, "debian", "bookworm")


def test_a_debian_host_gives_its_archives_for_another_suite(debian: Host) -> None:
    debian.has("sources.list.d/debian.sources", DEBIAN)
    assert debian.sources(Base("debian", "trixie")) == [
        ("http://mirror.example.org/debian", "trixie", "main"),
        ("http://mirror.example.org/debian", "trixie-updates", "main"),
        ("http://security.example.org/debian-security", "trixie-security", "main"),
    ]


def test_third_parties_are_passed_over(debian: Host) -> None:
    debian.has(
        "sources.list",
        "deb cdrom:[Debian]/ bookworm main\n"
        "deb [signed-by=/k/third.gpg] https://third.example.org/deb bookworm main\n"
        "deb https://other.example.org/apt bookworm stable\n"
        "deb https://nodistro.example.org/node nodistro main\n"
        "deb https://unsigned.example.org/tool bookworm main\n"
        "deb http://mirror.example.org/debian bookworm main\n"
        "deb http://mirror.example.org/debian-security bookworm-security main\n",
    )
    uris = {uri for uri, _, _ in debian.sources(Base("debian", "bookworm"))}
    assert uris == {"http://mirror.example.org/debian", "http://mirror.example.org/debian-security"}


def test_a_mirror_signed_with_a_key_of_its_own_brings_its_keyring(debian: Host, tmp_path: Path) -> None:
    own = tmp_path / "own.gpg"
    own.touch()
    debian.has("sources.list", f"deb [signed-by={own}] http://m.example.org/debian bookworm main\n")
    debian.has("sources.list.d/s.list", "deb http://m.example.org/debian-security bookworm-security main\n")
    found = resolve(Base("debian", "trixie"), apt=debian.apt, os_release=debian.os_release, keyrings=debian.keyrings)
    assert found.keyring == own


def test_a_list_of_mirrors_gives_its_first(debian: Host, tmp_path: Path) -> None:
    mirrors = tmp_path / "debian.list"
    mirrors.write_text("# mirrors\nhttps://first.example.org/debian\tpriority:1\nhttps://second.example.org/debian\n")
    debian.has(
        "sources.list",
        f"deb mirror+file:{mirrors} bookworm main\ndeb http://s.example.org/debian-security bookworm-security main\n",
    )
    assert debian.sources(Base("debian", "trixie"))[0][0] == "https://first.example.org/debian"


def test_sid_has_no_updates_and_no_security(debian: Host) -> None:
    debian.has("sources.list", "deb http://mirror.example.org/debian bookworm main\n")
    assert debian.sources(Base("debian", "sid")) == [("http://mirror.example.org/debian", "sid", "main")]


def test_an_ubuntu_host_gives_main_and_universe(tmp_path: Path) -> None:
    ubuntu = Host(tmp_path, "ubuntu", "noble")
    ubuntu.has("sources.list.d/ubuntu.sources", UBUNTU.replace("/usr/share/keyrings", str(ubuntu.keyrings)))
    assert ubuntu.sources(Base("ubuntu", "jammy")) == [
        ("http://archive.example.org/ubuntu", "jammy", "main universe"),
        ("http://archive.example.org/ubuntu", "jammy-updates", "main universe"),
        ("http://security.example.org/ubuntu", "jammy-security", "main universe"),
    ]


def test_a_declared_archive_brings_its_own_security_updates(debian: Host) -> None:
    base = Base("debian", "trixie", "https://snap.example.org/archive/debian/20260101T000000Z/")
    assert [uri for uri, _, _ in debian.sources(base)] == [
        "https://snap.example.org/archive/debian/20260101T000000Z",
        "https://snap.example.org/archive/debian/20260101T000000Z",
        "https://snap.example.org/archive/debian-security/20260101T000000Z",
    ]
    ubuntu = Base("ubuntu", "noble", "https://u.example.org/ubuntu")
    assert {uri for uri, _, _ in debian.sources(ubuntu)} == {"https://u.example.org/ubuntu"}


def test_security_updates_are_never_left_out_silently(debian: Host) -> None:
    nowhere = debian.problem(Base("debian", "trixie", "https://m.example.org/packages"))
    assert "security updates" in nowhere.what
    assert "/debian-security" in nowhere.mend
    debian.has("sources.list", "deb http://mirror.example.org/debian bookworm main\n")
    assert "bookworm-security" in debian.problem(Base("debian", "trixie")).what


def test_another_distribution_needs_an_archive_named(debian: Host) -> None:
    debian.has("sources.list.d/debian.sources", DEBIAN)
    problem = debian.problem(Base("ubuntu", "noble"))
    assert "ubuntu:noble" in problem.what
    assert "archive = " in problem.mend


def test_a_missing_keyring_is_named_with_its_package(debian: Host) -> None:
    debian.has("sources.list.d/debian.sources", DEBIAN)
    (debian.keyrings / "debian-archive-keyring.gpg").unlink()
    problem = debian.problem(Base("debian", "trixie"))
    assert "debian-archive-keyring.gpg" in problem.what
    assert problem.mend.endswith("debian-archive-keyring")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_CODENAME="trixie"\n', Base("debian", "trixie")),
        ("ID=ubuntu\nVERSION_CODENAME=noble\n", Base("ubuntu", "noble")),
        ("ID=fedora\n", Base("debian", "trixie")),
        ("", Base("debian", "trixie")),
    ],
)
def test_the_base_of_a_host(text: str, expected: Base, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text(text)
    assert host_base(tmp_path / "os-release") == expected
    assert host_base(tmp_path / "missing") == Base("debian", "trixie")


def test_machines_have_debian_names() -> None:
    assert architecture("aarch64") == "arm64"
    with pytest.raises(Problem, match="vax"):
        architecture("vax")


def test_a_password_in_a_source_of_the_host_goes_no_further(tmp_path: Path) -> None:
    host = Host(tmp_path, "debian", "bookworm")
    host.has("sources.list", DEBIAN.replace("//mirror.", "//ann:secret@mirror."))
    (host.apt / "sources.list").rename(host.apt / "sources.list.d" / "debian.sources")
    base = Base("debian", "bookworm")
    found = resolve(base, apt=host.apt, os_release=host.os_release, keyrings=host.keyrings)
    assert found.logins == {"http://mirror.example.org/debian": "ann:secret"}
    assert "secret" not in repr(found)
