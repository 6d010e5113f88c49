"""apt's room: its whole configuration, what it knows of this machine, and what it is told to fetch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluestone.image.apt import HELPER, configuration, credentials, environment, failures, fetch, isolated
from bluestone.image.archive import ResolvedBase, without_login
from bluestone.image.sources import Source
from lock_examples import package


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_signatures_dates_and_digests_are_always_checked(architecture: str) -> None:
    lines = configuration(Path("/r"), architecture, ['Acquire::http::Proxy "http://p.example.org";']).splitlines()
    assert {
        'Dir "/r/";',
        f'APT::Architecture "{architecture}";',
        'APT::Install-Recommends "false";',
        'APT::Get::AllowUnauthenticated "false";',
        'Acquire::AllowInsecureRepositories "false";',
        'Acquire::AllowWeakRepositories "false";',
        'Acquire::AllowDowngradeToInsecureRepositories "false";',
        'Acquire::Check-Valid-Until "true";',
        'Acquire::http::Proxy "http://p.example.org";',
    } <= set(lines)
    assert all(line.endswith(";") for line in lines)


def test_of_our_environment_only_paths_and_proxies_are_passed_on() -> None:
    ours = {"PATH": "/bin", "https_proxy": "http://p.example.org", "TOKEN": "secret", "APT_CONFIG": "/host"}
    known = environment(Path("/r"), ours)
    assert known == {
        "PATH": "/bin",
        "https_proxy": "http://p.example.org",
        "APT_CONFIG": "/r/apt.conf",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/r",
    }


def test_every_file_is_fetched_with_its_digest() -> None:
    command = fetch([("http://m.example.org/a.deb", Path("/d/a"), "3" * 64)])
    assert command == [HELPER, "download-file", "http://m.example.org/a.deb", "/d/a", f"SHA256:{'3' * 64}"]


def test_why_a_file_could_not_be_had_is_found_by_its_plain_uri() -> None:
    said = [
        "Err:1 http://m.example.org/a.deb",
        "E: Failed to fetch http://m.example.org/a%2bb.deb  404  Not Found [IP: 10.0.0.1 80]",
        "E: Failed to fetch file:/srv/c.deb  File not found",
    ]
    assert failures(said) == {
        "http://m.example.org/a+b.deb": "404  Not Found [IP: 10.0.0.1 80]",
        "file:///srv/c.deb": "File not found",
    }


def test_paths_of_packages_are_encoded_in_uris() -> None:
    base = ResolvedBase("ubuntu", "noble", "amd64", Path("/k"), (Source("http://u.example.org/ubuntu", "noble", ()),))
    assert base.uri(package(path="pool/a+b_1%3a2~3.deb")) == "http://u.example.org/ubuntu/pool/a+b_1%253a2~3.deb"


def test_the_room_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    base = ResolvedBase("debian", "trixie", "amd64", Path("/k"), (Source("http://m.example.org/debian", "trixie", ()),))
    with pytest.raises(ZeroDivisionError), isolated(base) as apt:
        assert apt.status.read_text() == ""
        assert list(apt.sources.iterdir()) == []
        assert f'Dir "{apt.directory}/"' in (apt.directory / "apt.conf").read_text()
        assert os.access(apt.downloads, os.W_OK)
        _ = 1 // 0
    assert list(tmp_path.iterdir()) == []


def test_passwords_are_in_a_file_of_their_own() -> None:
    assert without_login("https://ann:p%40ss@m.example.org:8/debian") == (
        "https://m.example.org:8/debian",
        "ann:p%40ss",
    )
    assert without_login("http://m.example.org/debian") == ("http://m.example.org/debian", "")
    text = credentials({"http://m.example.org/debian": "ann:p%40ss"}, "machine x login y password z\n")
    assert text == "machine http://m.example.org/debian login ann password p@ss\nmachine x login y password z\n"
