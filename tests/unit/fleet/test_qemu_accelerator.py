"""How it is found out whether KVM works, and how the answer is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bluestone.fleet.providers.qemu import accelerator
from bluestone.fleet.providers.qemu.commands import Accelerator

WORKS = Accelerator(kvm=True, reason="a guest ran with KVM")


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `/dev/kvm` of our own, and QEMU's program, neither of which is more than a file."""
    device = tmp_path / "kvm"
    device.touch()
    device.chmod(0o666)
    program = tmp_path / "qemu"
    program.touch()
    boot = tmp_path / "boot_id"
    boot.write_text("first\n")
    monkeypatch.setattr(accelerator, "DEVICE", device)
    monkeypatch.setattr(accelerator, "BOOT_ID", boot)
    monkeypatch.setattr(accelerator, "require", lambda _: str(program))
    return device


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[Accelerator]:
    made: list[Accelerator] = []

    def try_kvm() -> Accelerator:
        made.append(WORKS)
        return WORKS

    monkeypatch.setattr(accelerator, "try_kvm", try_kvm)
    return made


def test_the_answer_is_kept(device: Path, tries: list[Accelerator], tmp_path: Path) -> None:
    cache = tmp_path / "run" / "accelerator"
    assert accelerator.choose(cache) == accelerator.choose(cache) == WORKS
    assert len(tries) == 1


@pytest.mark.parametrize("change", ["boot", "program", "mode", "device", "cache"])
def test_it_is_found_out_again_when_anything_changes(
    device: Path, tries: list[Accelerator], tmp_path: Path, change: str
) -> None:
    cache = tmp_path / "accelerator"
    accelerator.choose(cache)
    match change:
        case "boot":
            (tmp_path / "boot_id").write_text("second\n")
        case "program":
            (tmp_path / "qemu").write_text("newer")
        case "mode":
            device.chmod(0o600)
        case "device":
            device.unlink()
        case _:
            cache.write_text("{spoilt")
    accelerator.choose(cache)
    accelerator.choose(cache)
    assert len(tries) == 2


def test_a_cache_that_cannot_be_written_is_no_trouble(device: Path, tries: list[Accelerator], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert accelerator.choose(tmp_path / "file" / "accelerator") == WORKS
    assert accelerator.choose(tmp_path / "file" / "accelerator") == WORKS
    assert len(tries) == 2


def test_without_a_device_nothing_is_booted(device: Path) -> None:
    device.unlink()
    found = accelerator.try_kvm()
    assert (found.kvm, found.reason) == (False, f"there is no {device} on this machine")


def answers(monkeypatch: pytest.MonkeyPatch, status: int, said: bytes = b"") -> list[list[str]]:
    """Have every program end like this; return what is run."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=status, stderr=said)

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_kvm_works_where_the_probe_ends_as_it_should(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = answers(monkeypatch, accelerator.STATUS)
    assert accelerator.try_kvm() == WORKS
    (command,) = ran
    assert command[0] == "setpriv"
    assert command[command.index("-accel") + 1] == "kvm"


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (
            1,
            b"qemu-system-x86_64: failed to initialize kvm: Invalid argument\nmore\n",
            "initialize kvm: Invalid argument",
        ),
        (0, b"", "ended with status 0"),
        (-6, b"", "ended with status -6"),
    ],
)
def test_where_it_does_not_the_reason_is_told(
    device: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: bytes, reason: str
) -> None:
    answers(monkeypatch, status, said)
    found = accelerator.try_kvm()
    assert not found.kvm
    assert found.reason.startswith("KVM does not work here: ")
    assert found.reason.endswith(reason)


def test_a_probe_that_hangs_means_no(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, accelerator.TIMEOUT)

    monkeypatch.setattr(subprocess, "run", run)
    assert "did not end within 10 s" in accelerator.try_kvm().reason


def test_root_does_not_use_a_device_that_is_for_root_alone(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device.chmod(0o600)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    ran = answers(monkeypatch, accelerator.STATUS)
    found = accelerator.try_kvm()
    assert not found.kvm
    assert f"chgrp kvm {device}" in found.reason
    assert ran == []


def test_servers_run_as_users_of_their_own(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    one, again, other = (accelerator.server_user(name) for name in ("shop/web-1", "shop/web-1", "shop/web-2"))
    assert one and other
    assert one == again
    assert one.uid != other.uid
    assert all(accelerator.FIRST_UID <= user.uid < accelerator.FIRST_UID + accelerator.UIDS for user in (one, other))
    assert one.groups == ()  # everybody may use the device
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert accelerator.server_user("shop/web-1") is None


def test_the_probe_is_one_piece_of_firmware() -> None:
    assert len(accelerator.PROBE) == 256
    assert accelerator.PROBE[0xF0] == 0xEA  # the reset vector: a far jump


@pytest.mark.e2e
def test_the_probe_boots_by_emulation() -> None:
    """So that what it says of KVM is about KVM."""
    assert accelerator.boot(("-accel", "tcg", "-cpu", "qemu64")) == ""
    assert "invalid accelerator" in accelerator.boot(("-accel", "no-such-thing"))
