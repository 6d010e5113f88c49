"""Images packed for others: read by real podman and skopeo, and started by UEFI firmware."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest

from bluestone.fleet.providers.podman.runtime import choose_runtime, this_machine
from bluestone.image.build import build
from bluestone.image.builders.own.engine import Own
from bluestone.image.formats import tools
from bluestone.image.formats.cpio import archive, file, link
from bluestone.image.formats.disk import DiskFacts, make_disk
from bluestone.image.formats.oci import make_oci
from bluestone.image.lock.stored import own_lock
from bluestone.image.store import ImageStore
from bluestone.image.tree import differences
from bluestone.model.image import Image
from bluestone.model.problem import Problem
from bluestone.model.recipe import Base, OverlayFile, Recipe, Waiver
from locked import build_locked
from machine import Machine, until
from podman_site import podman
from workplace import free_port

pytestmark = pytest.mark.e2e

FIRMWARE = Path("/usr/share/OVMF")
BOOT = 300.0
"""Seconds to wait for a virtual machine, which may be emulated on a busy machine."""

SITE = "server { listen 80; location = /health { return 200 well; } }\n"

RECIPE = Recipe(
    Base("debian", "trixie"),
    packages=("libcap2-bin", "linux-image-cloud-amd64", "nginx-light", "python3-minimal"),
    files=(OverlayFile("/etc/nginx/sites-enabled/default", content=SITE),),
    units=("nginx.service",),
    run=("cp /usr/bin/true /usr/local/bin/pinger && setcap cap_net_raw+ep /usr/local/bin/pinger",),
    writable=("/var/lib/nginx", "/var/log/nginx"),
    waivers=(Waiver("capability", "/usr/local/bin/pinger", "formats must keep it"),),
)
"""A server with a kernel, and a file with a capability. Its packages are those of `test_qemu_life`, which boots it."""


@pytest.fixture(scope="module")
def store(shared_home: Path) -> ImageStore:
    return ImageStore(shared_home / "images")


@pytest.fixture(scope="module")
def image(store: ImageStore) -> Image:
    return build_locked(RECIPE, store)


@pytest.fixture(scope="module")
def tools_root(store: ImageStore) -> Path:
    lock = own_lock(tools.RECIPE, store.directory / tools.LOCK, store.packages, print)
    return build(tools.RECIPE, lock, store, Own(), progress=print).root


@pytest.fixture(scope="module")
def place(shared_home: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="formats-", dir=shared_home))
    yield directory
    shutil.rmtree(directory)


@dataclass(frozen=True)
class Disk:
    file: Path
    facts: DiskFacts


@pytest.fixture(scope="module")
def disk(image: Image, tools_root: Path, place: Path) -> Disk:
    return Disk(place / "disk", make_disk(image.root, tools_root, place / "disk", print))


def test_the_same_tree_and_tools_make_the_same_disk(disk: Disk, image: Image, tools_root: Path, place: Path) -> None:
    again = place / "again"
    assert make_disk(image.root, tools_root, again, print) == disk.facts
    assert sha256(again) == sha256(disk.file)
    again.unlink()
    assert [path for path in place.iterdir() if path.name.startswith(".")] == []


def test_a_partitioner_finds_what_was_written(disk: Disk) -> None:
    require("sfdisk", "fdisk")
    assert "No errors detected" in output("sfdisk", "--verify", str(disk.file))
    table = json.loads(output("sfdisk", "--json", str(disk.file)))["partitiontable"]
    boot, root, verity = table["partitions"]
    assert (root["uuid"] + verity["uuid"]).replace("-", "").lower() == disk.facts.root_hash
    assert root["attrs"] == verity["attrs"] == "GUID:60"
    with disk.file.open("rb") as content:
        content.seek(root["start"] * 512)
        assert content.read(4) == b"hsqs"
        content.seek(verity["start"] * 512)
        assert content.read(6) == b"verity"
        content.seek(boot["start"] * 512 + 82)
        assert content.read(5) == b"FAT32"


def test_cpio_reads_what_the_kernel_will(tmp_path: Path) -> None:
    require("cpio", "cpio")
    content = archive([file("usr/bin/a", b"text", 0o755), link("bin", "usr/bin")])
    done = subprocess.run(["cpio", "-idm", "--quiet"], input=content, cwd=tmp_path, check=True, capture_output=True)
    assert done.stderr == b""
    assert (tmp_path / "bin" / "a").read_text() == "text"
    assert (tmp_path / "bin" / "a").stat().st_mode & 0o777 == 0o755


def test_a_disk_with_one_flipped_byte_does_not_start(disk: Disk, tmp_path: Path) -> None:
    require("sfdisk", "fdisk")
    broken = tmp_path / "broken"
    subprocess.run(["cp", "--sparse=always", disk.file, broken], check=True)
    root = json.loads(output("sfdisk", "--json", str(broken)))["partitiontable"]["partitions"][1]
    with broken.open("r+b") as content:
        # A field of the superblock that says nothing to whoever mounts it: the time at which it was made.
        content.seek(root["start"] * 512 + 8)
        byte = content.read(1)
        content.seek(-1, 1)
        content.write(bytes([byte[0] ^ 1]))
    with virtual_machine(broken, tmp_path) as machine:
        assert machine.wait(BOOT) == 0
    console = (tmp_path / "console").read_text(errors="replace")
    assert "data block 0 is corrupted" in console
    assert "Kernel panic - not syncing: dm-verity device corrupted" in console


def test_an_image_without_a_kernel_makes_no_disk(tools_root: Path, place: Path) -> None:
    with pytest.raises(Problem, match="has no kernel") as refused:
        make_disk(tools_root, tools_root, place / "none", print)
    assert "linux-image-cloud-amd64" in refused.value.mend
    assert not (place / "none").exists()


def test_podman_loads_the_image_and_boots_the_same_tree(image: Image, place: Path) -> None:
    archive = place / "oci.tar"
    facts = make_oci(image.root, archive, "bs-formats:test", print, archive=True)
    name, container, port = "localhost/bs-formats:test", f"bs-formats-{time.monotonic_ns()}", free_port()
    podman("load", "--quiet", "--input", str(archive))
    try:
        assert podman("image", "inspect", "--format", "{{.Digest}}", name).strip() == facts.digest
        root = podman("image", "mount", name).strip()
        found = output(sys.executable, "-m", "bluestone.image.tree", root)
        assert differences((image.root.parent / "manifest").read_text(), found) == []
        memory = [f"--tmpfs={path}" for path in ("/run", "/tmp", "/var/log", *image.writable)]
        publish = f"--publish=127.0.0.1:{port}:80"
        options = choose_runtime(this_machine()).options
        own = ["--detach", "--systemd=always", "--read-only", "--name", container, publish, *memory]
        podman("run", *own, *options, name)
        until(lambda: get(port, "/health") == "well", "it serves", 60)
    finally:
        podman("rm", "--force", "--ignore", "--time", "10", container)
        podman("image", "unmount", "--force", name)
        podman("image", "rm", name)
        archive.unlink()


def test_skopeo_reads_each_form_and_finds_one_image(image: Image, tools_root: Path, place: Path) -> None:
    require("skopeo", "skopeo")
    plain, packed = place / "oci", place / "packed.tar"
    facts = make_oci(image.root, plain, "web:1", print, archive=False)
    make_oci(image.root, packed, "web:1", print, archive=True, compression="zstd", tools_root=tools_root)
    try:
        # Copying checks every digest.
        output("skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{plain}", f"dir:{place / 'copy'}")
        assert sha256(place / "copy" / "manifest.json") == facts.digest.removeprefix("sha256:")
        configs = [config(f"oci:{plain}"), config(f"oci-archive:{packed}"), config(f"docker-archive:{packed}")]
        assert all(each["rootfs"] == configs[0]["rootfs"] for each in configs)
        assert {each["config"]["Labels"]["bluestone.image"] for each in configs} == {image.digest}
        output("skopeo", "--insecure-policy", "copy", "--quiet", f"oci-archive:{packed}", f"dir:{place / 'copy2'}")
    finally:
        for each in ("oci", "copy", "copy2"):
            shutil.rmtree(place / each, ignore_errors=True)
        packed.unlink(missing_ok=True)


def test_an_image_is_exported_by_its_project(machine: Machine) -> None:
    target = machine.directory / "web.tar"
    machine.page(f"built at {time.time_ns()}")
    assert "mend: build it: bluestone build" in machine.run("export", "--format", "tar", "web.tar", expect=1)
    machine.run("build")
    said = machine.run("export", "--format", "tar", "web.tar")
    assert f"sha256:{sha256(target)}" in said
    digest = said.split("image     ")[1].split()[0]
    assert "is there already" in machine.run("export", digest[7:20], "web.tar", "--format", "oci-tar", expect=1)
    told = machine.run("export", digest[7:20], "web.tar", "--format", "oci-tar", "--force", "--json")
    done = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert (done["image"], done["size"]) == (digest, target.stat().st_size)
    assert "has no kernel" in machine.run("export", "web.disk", "--format", "disk", expect=1)
    assert not (machine.directory / "web.disk").exists()


def config(place: str) -> dict[str, dict[str, dict[str, str]]]:
    """The configuration of an image, as skopeo reads it."""
    told: dict[str, dict[str, dict[str, str]]] = json.loads(output("skopeo", "inspect", "--config", place))
    return told


@contextmanager
def virtual_machine(disk: Path, work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A machine that boots from a disk; its console is in `work`.

    Emulated, on one processor: so it is the same wherever the test runs.
    """
    require("qemu-system-x86_64", "qemu-system-x86")
    code = next((path for path in (FIRMWARE / "OVMF_CODE_4M.fd", FIRMWARE / "OVMF_CODE.fd") if path.exists()), None)
    if code is None:
        pytest.skip("ovmf is not installed")
    command = [
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "q35", "-accel", "tcg,thread=single", "-smp", "1", "-cpu", "qemu64", "-m", "512"),
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,snapshot=on,file={str(code).replace('_CODE', '_VARS')}"),
        *("-drive", f"if=none,id=root,format=raw,readonly=on,file={disk}"),
        *("-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci"),
        *("-chardev", f"file,id=console,path={work / 'console'}", "-serial", "chardev:console"),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str = "/") -> str | None:
    """A page, or None while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except (OSError, HTTPException):
        return None


def require(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{package} is not installed")


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
