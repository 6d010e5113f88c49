"""`serve` from outside, for a project that has no servers yet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from command_line import bluestone
from daemon_world import until


class Shop:
    """A project in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = os.environ | {"BLUESTONE_HOME": str(directory / "h")}
        assert bluestone(directory, directory / "h", "init", "shop").returncode == 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bluestone", *arguments],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def shop() -> Iterator[Shop]:
    # The paths of sockets must be short, and those of a lane's own directories are not.
    with TemporaryDirectory(prefix="bs-") as directory:
        yield Shop(Path(directory))


def test_the_unit_runs_this_very_bluestone_with_the_same_options(shop: Shop) -> None:
    unit = shop.run("serve", "--print-unit", "--listen", "127.0.0.1:9464", "--every", "1m").stdout
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    file = shop.directory / "bluestone.toml"
    wanted = f"{sys.executable} -P -m bluestone serve --file {file} --every=60s --listen=127.0.0.1:9464"
    assert start == f"ExecStart={wanted}"
    assert f"Environment=BLUESTONE_HOME={shop.directory}/h" in unit


def test_others_than_this_machine_are_told_nothing(shop: Shop) -> None:
    refused = shop.run("serve", "--listen", "0.0.0.0:9464")
    assert refused.returncode == 1
    assert "not a loopback address" in refused.stderr


def test_it_leads_until_sigterm_and_a_second_one_is_told_who_does(shop: Shop) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bluestone", "serve"],
        cwd=shop.directory,
        env=shop.env,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        try:
            # The socket is there a moment before somebody answers.
            until(lambda: bool(json.loads(shop.run("status", "--json").stdout).get("daemon")), "it answers", 60)
            assert json.loads(shop.run("status", "--json").stdout)["daemon"]["pid"] == first.pid
            second = shop.run("serve")
            assert second.returncode == 1
            assert f"process {first.pid} " in second.stderr
        finally:
            first.send_signal(signal.SIGTERM)
        _, said = first.communicate(timeout=60)
    assert first.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in lines if line["event"].startswith("daemon.")] == [
        "daemon.started",
        "daemon.ending",
        "daemon.ended",
    ]
    assert all(line["project"] == "shop" and line["at"] and line["level"] for line in lines)
    assert not list((shop.directory / "h" / "run").glob("shop/*.sock*"))


def test_a_file_that_is_wrong_keeps_no_daemon_from_going_on_but_the_first(shop: Shop) -> None:
    file = shop.directory / "bluestone.toml"
    right = file.read_text()
    file.write_text("this is no declaration")
    assert shop.run("serve").returncode == 1, "there is nothing to go on with"
    file.write_text(right)
    shop.run("status")
    file.write_text("this is no declaration")
    with subprocess.Popen(
        [sys.executable, "-m", "bluestone", "serve"],
        cwd=shop.directory,
        env=shop.env,
        stderr=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stderr is not None
        first, second = daemon.stderr.readline(), daemon.stderr.readline()
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=60)
    assert json.loads(first)["event"] == "declaration.refused"
    assert json.loads(second)["event"] == "daemon.started"
    assert daemon.returncode == 0
