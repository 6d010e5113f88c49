from pathlib import Path

import pytest

from bluestone.image.archive import ResolvedBase
from bluestone.image.builders.mmdebstrap import (
    Mmdebstrap,
    apt_options,
    command,
    environment,
    explain,
    sources_list,
)
from bluestone.image.sources import Source
from bluestone.model.problem import MissingTool

BASE = ResolvedBase(
    "debian",
    "trixie",
    "amd64",
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    (
        Source("http://m.example.org/debian", "trixie", ("main",)),
        Source("http://m.example.org/debian-security", "trixie-security", ("main",)),
    ),
)


def test_the_command_names_packages_keyring_and_options_file() -> None:
    line = command(BASE, ["dbus", "nginx-light"], Path("/w/base.tar"), Path("/w/apt.conf"))
    assert line[0] == "mmdebstrap"
    assert "--include=dbus,nginx-light" in line
    assert "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg" in line
    assert "--aptopt=/w/apt.conf" in line
    assert line[-3:] == ["trixie", "/w/base.tar", "-"]
    assert not any("example.org" in word for word in line), "a URI may hold a password"


def test_signatures_are_never_unchecked() -> None:
    said = " ".join(command(BASE, ["x"], Path("/t"), Path("/o"))) + sources_list(BASE) + apt_options([])
    for way_around in ("trusted", "AllowUnauthenticated", "AllowInsecure", "no-check"):
        assert way_around.lower() not in said.lower()


def test_the_sources_are_whole_lines() -> None:
    assert sources_list(BASE) == (
        "deb http://m.example.org/debian trixie main\ndeb http://m.example.org/debian-security trixie-security main\n"
    )


def test_the_hosts_proxy_is_passed_on() -> None:
    proxy = 'Acquire::http::Proxy "http://proxy.example.org:3128";'
    assert proxy in apt_options([proxy]).splitlines()


def test_of_our_environment_only_paths_and_proxies_are_passed_on() -> None:
    ours = {"PATH": "/bin", "http_proxy": "http://p.example.org", "TOKEN": "secret"}
    known = environment(Path("/w"), ours)
    assert known["TMPDIR"] == "/w"
    assert known["PATH"] == "/bin:/usr/sbin:/sbin"
    assert known["http_proxy"] == "http://p.example.org"
    assert known["SOURCE_DATE_EPOCH"].isdigit()
    assert "TOKEN" not in known


@pytest.mark.parametrize(
    ("said", "what", "mend"),
    [
        ("E: Unable to locate package nginx-lihgt", "no package called nginx-lihgt", "apt-cache search nginx-lihgt"),
        ("E: Package 'old' has no installation candidate", "no package called old", "image.packages"),
        ("tar: ./usr: Cannot write: No space left on device", "disk is full", "BLUESTONE_HOME"),
        (
            "E: Failed to fetch http://m.example.org/x  Could not connect to m.example.org:80 (10.0.0.1)",
            "cannot be reached: http://m.example.org/debian",
            "network",
        ),
        (
            "E: The repository 'http://m.example.org/debian trixei Release' does not have a Release file.",
            "the archive http://m.example.org/debian has no suite called trixei",
            "image.base",
        ),
        (
            "W: GPG error: http://m.example.org trixie InRelease: ... NO_PUBKEY 6ED0E7B82643E131",
            "signature cannot be checked",
            "debian-archive-keyring",
        ),
        ("E: something else", "the base could not be made\n     E: something else", "try again"),
    ],
)
def test_failures_are_explained(said: str, what: str, mend: str) -> None:
    problem = explain(["I: running apt-get update...", said, "I: removing tempdir"], BASE)
    assert what in problem.what
    assert mend in problem.mend


def test_a_missing_mmdebstrap_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="mmdebstrap is not installed"):
        Mmdebstrap().version()
    with pytest.raises(MissingTool):
        Mmdebstrap().bootstrap(BASE, ["x"], tmp_path / "base.tar", print)
    assert list(tmp_path.iterdir()) == []
