from pathlib import Path

import pytest

from bluestone.image.builders.mmdebstrap import Mmdebstrap, command, environment, explain
from bluestone.image.packagestore import PackageStore
from bluestone.model.problem import MissingTool
from lock_examples import LOCK


def test_the_command_names_packages_and_no_archive() -> None:
    line = command(LOCK, Path("/w/packages.tar"))
    assert line[0] == "mmdebstrap"
    assert f"--include={','.join(each.name for each in LOCK.packages)}" in line
    assert "--architectures=amd64" in line
    assert line[-3:] == ["trixie", "/w/packages.tar", "-"]
    assert not any("://" in word for word in line)


def test_of_our_environment_only_paths_are_passed_on() -> None:
    ours = {"PATH": "/bin", "http_proxy": "http://p.example.org", "TOKEN": "secret"}
    known = environment(Path("/w"), ours)
    assert known["TMPDIR"] == "/w"
    assert known["PATH"] == "/bin:/usr/sbin:/sbin"
    assert known["SOURCE_DATE_EPOCH"].isdigit()
    assert known["INITRD"] == "No"
    assert not {"TOKEN", "http_proxy"} & known.keys()


@pytest.mark.parametrize(
    ("said", "what", "mend"),
    [
        ("tar: ./usr: Cannot write: No space left on device", "disk is full", "BLUESTONE_HOME"),
        ("E: You don't have enough free space in /w/var/cache/apt/archives/.", "disk is full", "BLUESTONE_HOME"),
        ("E: Unable to locate package web", "cannot be installed by themselves\n     E: Unable", "bluestone lock"),
        ("E: something else", "the base could not be made\n     E: something else", "try again"),
    ],
)
def test_failures_are_explained(said: str, what: str, mend: str) -> None:
    problem = explain(["I: running apt-get update...", said, "I: removing tempdir"])
    assert what in problem.what
    assert mend in problem.mend


def test_a_missing_mmdebstrap_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="mmdebstrap is not installed"):
        Mmdebstrap().version()
    with pytest.raises(MissingTool):
        Mmdebstrap().install(LOCK, PackageStore(tmp_path / "p"), tmp_path / "root", print)
    assert list(tmp_path.iterdir()) == []
