"""What systemd is told, and the unit that it starts."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from bluestone.app.project import Project
from bluestone.daemon import systemd
from bluestone.daemon.systemd import Notifier
from bluestone.host.paths import Home
from bluestone.model.declaration import Declaration
from bluestone.model.recipe import Base, Recipe


def project(directory: Path) -> Project:
    declaration = Declaration("shop", Recipe(Base("debian", "trixie")), ())
    return Project(declaration, Home(directory / "state", directory / "run"), directory / "a shop" / "bluestone.toml")


def test_systemd_hears_how_the_daemon_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"})
        assert notifier.interval == 2.0
        notifier.tell(READY="1", STATUS="two\nlines")
        assert listener.recv(256) == b"READY=1\nSTATUS=two lines"


def test_an_abstract_socket_is_one_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0bluestone-test-notify")
        listener.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@bluestone-test-notify"}).tell(WATCHDOG="1")
        assert listener.recv(256) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_told(tmp_path: Path) -> None:
    assert Notifier({}).interval is None
    Notifier({}).tell(READY="1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell(READY="1")
    other = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}
    assert Notifier(other).interval is None, "the watchdog waits for another process"


def test_the_unit_ends_the_daemon_alone_and_leaves_the_world_as_it_is(tmp_path: Path) -> None:
    text = systemd.unit(project(tmp_path), ("--listen=127.0.0.1:9464",), root=True)
    lines = text.splitlines()
    assert "KillMode=process" in lines
    assert "Type=notify" in lines
    assert "WantedBy=multi-user.target" in lines
    assert any(line.startswith("ExecStart=") and f'"{tmp_path}/a shop/bluestone.toml"' in line for line in lines)
    for sandbox in ("PrivateTmp", "ProtectSystem", "ProtectHome", "SystemCallFilter", "PrivateMounts", "ReadOnlyPaths"):
        assert not any(line.startswith(sandbox) for line in lines), "containers would get it too"
    assert "WantedBy=default.target" in systemd.unit(project(tmp_path), root=False)


def test_words_reach_the_daemon_as_they_are() -> None:
    assert systemd._quoted("/usr/bin/x") == "/usr/bin/x"
    assert systemd._quoted('a "b" 50%') == '"a \\"b\\" 50%%"'


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / "a shop").mkdir()
    (tmp_path / "bluestone-shop.service").write_text(systemd.unit(project(tmp_path), root=True))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "bluestone-shop.service")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    mine = [line for line in done.stderr.splitlines() if "bluestone-shop" in line]
    assert mine == []
