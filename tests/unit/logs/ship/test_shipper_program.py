"""The real program, with a journal that is a script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bluestone.logs.ship.agent import agent, bootfiles
from bluestone.logs.ship.shipper.queue import Position
from bluestone.model.group import LogPolicy
from shipping import Fake, journalctl, wait_until

NOTHING = LogPolicy()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    fake = Fake(tmp_path / "s")
    yield fake
    fake.close()


@contextmanager
def shipper(directory: Path, fake: Fake, policy: LogPolicy = NOTHING) -> Iterator[subprocess.Popen[bytes]]:
    """The program as an image has it."""
    for file in agent().files:
        if file.target.startswith("/usr/lib/bluestone/"):
            place = directory / file.target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text((file.content or "").replace("/usr/lib", f"{directory}/usr/lib"))
    for name, content in bootfiles(f"unix:{fake.path}", "t0ken", policy=policy).items():
        (directory / Path(name).name).write_bytes(content)
    environment = os.environ | {"CREDENTIALS_DIRECTORY": str(directory), "RUNTIME_DIRECTORY": str(directory)}
    command = [sys.executable, "-I", str(directory / "usr/lib/bluestone/shipper")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def acknowledged(directory: Path, count: int) -> None:
    """Wait until so many are: lines stored a moment before that would rightly be sent again."""
    wait_until(lambda: (directory / "queue").exists() and progress(directory) == count)


def progress(directory: Path) -> int:
    try:
        return Position.parse((directory / "queue" / "progress").read_bytes()).sequence
    except FileNotFoundError:
        return 0


def numbers(fake: Fake) -> list[int]:
    return [int(line["_BLUESTONE_SEQUENCE"]) for line in map(json.loads, fake.stored[:-1])]


def test_sigterm_ships_the_rest_says_goodbye_and_ends(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It follows four lines, and after SIGTERM finds two more in the journal."""
    journalctl(tmp_path, monkeypatch, "say(*range(START, 4 if FOLLOW else 6)); time.sleep(600 if FOLLOW else 0)")
    with shipper(tmp_path, fake) as process:
        acknowledged(tmp_path, 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [json.loads(line)["__CURSOR"] for line in fake.stored] == [
        *(f"s=1;i={n}" for n in range(6)),
        "s=1;i=5;goodbye=6",
    ]
    assert numbers(fake) == [1, 2, 3, 4, 5, 6]


def test_files_are_shipped_with_the_journal_and_secrets_are_hidden(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journalctl(tmp_path, monkeypatch, "say(*range(START, 1)); time.sleep(600 if FOLLOW else 0)")
    log = tmp_path / "app.log"
    policy = LogPolicy(files=(str(tmp_path / "*.log"),), mask=(r"password=(\S+)",))
    with shipper(tmp_path, fake, policy) as process:
        wait_until(lambda: len(fake.stored) == 1)
        log.write_text('password=hunter2\n{"msg": "json"}\nlast, without an end')
        acknowledged(tmp_path, 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    shown = [json.loads(line).get("MESSAGE") for line in fake.stored]
    assert shown == [None, "password=[masked]", '{"msg": "json"}', "last, without an end", "goodbye after 4 lines"]
    assert numbers(fake) == [1, 2, 3, 4]


def test_numbers_of_what_the_journal_dropped_are_passed_over(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journalctl(tmp_path, monkeypatch, "say(1, 2, 7) if not START else None; time.sleep(600 if FOLLOW else 0)")
    with shipper(tmp_path, fake) as process:
        acknowledged(tmp_path, 8)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert numbers(fake) == [1, 2, 7, 8]
    assert json.loads(fake.stored[-1])["_BLUESTONE_GOODBYE"] == "8"


MINIMAL = {
    *("__future__", "collections", "os", "re", "select", "signal", "socket", "ssl", "stat", "subprocess", "sys"),
    *("time", "zlib"),
}
"""Modules of Debian's python3-minimal, from 12 on, that cost little memory. It has neither json nor http nor gzip."""


def test_only_modules_of_python_minimal_are_imported() -> None:
    modules = [file for file in agent().files if "/ship/shipper/" in file.target]
    assert len(modules) > 8
    for module in modules:
        words = [line.split() for line in (module.content or "").splitlines()]
        imported = {each[1].split(".")[0] for each in words if each[:1] in (["import"], ["from"])}
        assert imported <= MINIMAL | {""}, module.target
