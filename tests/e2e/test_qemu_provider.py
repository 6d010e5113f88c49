"""What the contract of providers does not say of virtual machines: how they stop, how they fail, who may do what."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bluestone.fleet.providers.qemu import Media, provider
from bluestone.model.problem import Problem
from podman_site import spec, wait_for
from qemu_site import Site, fetch, guest, site

__all__ = ["guest"]

pytestmark = pytest.mark.e2e

BOOT = 180.0
"""Seconds to wait for a guest that is emulated on a busy machine."""


@pytest.fixture
def here(guest: Media) -> Iterator[Site]:
    with site(guest) as one:
        one.provider.prepare()
        yield one


def test_a_server_is_asked_to_stop_and_its_last_words_are_kept(here: Site) -> None:
    asked = spec(here.project)
    here.provider.create(asked)
    (server,) = here.provider.list_servers()
    wait_for(lambda: fetch(server.endpoint) != b"", "the server to have booted", BOOT)
    here.provider.destroy(asked.name, timedelta(seconds=60))
    assert here.provider.list_servers() == []
    console = here.console(asked.name)
    assert f"{asked.name} says goodbye" in console
    assert "reboot: Power down" in console


def test_a_server_that_cannot_start_is_dead_and_says_why(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(provider, "choose_ports", lambda *_: {80: port})
        with pytest.raises(Problem, match=r"did not start: .*host forwarding") as raised:
            here.provider.create(spec(here.project))
    assert raised.value.left == f"{spec(here.project).name} exists, and is dead"
    (server,) = here.provider.list_servers()
    assert server.phase == "dead"
    assert "host forwarding" in server.detail


def test_a_create_that_was_interrupted_is_taken_up(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = spec(here.project)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(provider.Qemu, "_start", crash)
        here.provider.create(asked)
    (server,) = here.provider.list_servers()
    assert server.phase == "creating"
    here.provider.create(asked)
    (server,) = here.provider.list_servers()
    assert server.phase == "running"


def test_what_a_server_is_handed_is_nobody_elses(here: Site) -> None:
    asked = spec(here.project, bootfiles={"secrets/P": b"hunter2"})
    here.provider.create(asked)
    process = Path("/proc") / str(here.pid(asked.name))
    assert b"hunter2" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    handed = [path for path in here.directory.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert [path.name for path in handed] == ["boot"]
    assert handed[0].stat().st_mode & 0o777 == 0o400
    assert handed[0].parent.stat().st_mode & 0o777 == 0o700
