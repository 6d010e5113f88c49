"""What QEMU is called with, as data."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.providers.qemu import commands
from bluestone.fleet.providers.qemu.commands import Accelerator, Descriptors, Media, User
from bluestone.host.daemons import started_at
from bluestone.model.group import Resources

KVM = Accelerator(kvm=True, reason="a guest ran with KVM")
EMULATION = Accelerator(kvm=False, reason="there is no /dev/kvm on this machine")
DISK = Media(Path("/images/abc/disk.raw"))
FIRMWARE = Path("/usr/share/ovmf/OVMF.fd")
DESCRIPTORS = Descriptors(boot=11, console=12, monitor=13, disk=14)


def machine(
    resources: Resources | None = None,
    media: Media = DISK,
    accelerator: Accelerator = EMULATION,
    descriptors: Descriptors = DESCRIPTORS,
    ports: dict[int, int] | None = None,
) -> list[str]:
    firmware = None if media.kernel else FIRMWARE
    chosen = resources or Resources()
    return commands.machine("web-0-1f3a9c0d-7", chosen, media, firmware, accelerator, descriptors, ports or {})


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == option]


def test_emulation_runs_as_it_has_to_for_recent_kernels() -> None:
    command = machine(Resources(cpus=4))
    assert values(command, "-accel") == ["tcg,thread=single"]
    assert values(command, "-cpu") == ["qemu64"]
    assert values(command, "-smp") == ["1"]


@pytest.mark.parametrize(("cpus", "wanted"), [(None, "1"), (0.5, "1"), (1.0, "1"), (1.5, "2"), (4.0, "4")])
def test_on_the_processor_a_server_has_as_many_as_declared(cpus: float | None, wanted: str) -> None:
    command = machine(Resources(cpus=cpus), accelerator=KVM)
    assert values(command, "-accel") == ["kvm"]
    assert values(command, "-cpu") == ["host"]
    assert values(command, "-smp") == [wanted]


@pytest.mark.parametrize(("memory", "wanted"), [(None, "512M"), (768 << 20, "768M")])
def test_memory_is_what_is_declared(memory: int | None, wanted: str) -> None:
    assert values(machine(Resources(memory=memory)), "-m") == [wanted]


def test_a_disk_boots_by_firmware_and_can_only_be_read() -> None:
    command = machine()
    assert values(command, "-bios") == [str(FIRMWARE)]
    root, boot = values(command, "-blockdev")
    assert root.startswith("driver=raw,node-name=root,read-only=on,")
    assert "file.filename=/dev/fdset/14" in root
    assert "file.filename=/dev/fdset/11" in boot
    assert all("read-only=on,file." in each and each.endswith("file.read-only=on") for each in (root, boot))
    assert "virtio-blk-pci,drive=boot,serial=bluestone-boot,romfile=" in command
    assert str(DISK.disk) not in " ".join(command)


def test_a_kernel_boots_without_firmware_or_disk() -> None:
    media = Media(None, Path("/k/vmlinuz"), Path("/k/initrd"), "console=ttyS0 quiet")
    command = machine(media=media, descriptors=replace(DESCRIPTORS, disk=None))
    assert values(command, "-kernel") == ["/k/vmlinuz"]
    assert values(command, "-initrd") == ["/k/initrd"]
    assert values(command, "-append") == ["console=ttyS0 quiet"]
    assert values(command, "-bios") == []
    assert len(values(command, "-blockdev")) == 1


def test_a_server_is_reached_on_the_loopback_alone() -> None:
    (network,) = values(machine(ports={443: 20_443, 80: 20_080}), "-netdev")
    assert network == ("user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:20080-:80,hostfwd=tcp:127.0.0.1:20443-:443")
    assert values(machine(), "-netdev") == ["user,id=net,ipv6=off"]


def test_nothing_is_there_that_was_not_asked_for() -> None:
    command = machine()
    for flag in ("-nodefaults", "-no-user-config", "-no-reboot"):
        assert flag in command
    assert values(command, "-display") == ["none"]
    assert values(command, "-sandbox") == ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    (monitor,) = [each for each in values(command, "-chardev") if "monitor" in each]
    assert monitor == "socket,id=monitor,fd=13,server=on,wait=off"


def test_a_user_of_its_own_has_no_rights() -> None:
    command = commands.confined(["qemu"], User(1_900_000_007, (104,)))
    assert command == [
        *("setpriv", "--reuid", "1900000007", "--regid", "1900000007", "--groups", "104"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "qemu"),
    ]
    assert "--clear-groups" in commands.confined(["qemu"], User(1_900_000_007))
    assert commands.confined(["qemu"], None) == ["setpriv", "--no-new-privs", "qemu"]


def test_descriptors_are_those_that_are_open() -> None:
    assert DESCRIPTORS.all == (11, 12, 13, 14)
    assert replace(DESCRIPTORS, disk=None).all == (11, 12, 13)


def test_a_recorded_command_says_which_process_it_is(tmp_path: Path) -> None:
    command = commands.recorded(["sh", "-c", "cat; echo $$"], tmp_path / "pid")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while not (tmp_path / "pid").exists():
            assert process.poll() is None
        written = (tmp_path / "pid").read_text()
        assert written == f"{process.pid} {started_at(process.pid)}\n"
        out, _ = process.communicate("")
    assert out == f"{process.pid}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


def test_what_cannot_be_recorded_is_not_run(tmp_path: Path) -> None:
    command = commands.recorded(["touch", str(tmp_path / "ran")], tmp_path / "missing" / "pid")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_a_recorded_command_cannot_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "CONSOLE_SIZE", 4096)
    script = 'yes > "$0"; echo "still here"'
    command = commands.recorded(["sh", "-c", script, str(tmp_path / "console")], tmp_path / "pid")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "still here\n"
    assert (tmp_path / "console").stat().st_size == 4096
