"""A fleet of a container and a virtual machine of one image, until the latter becomes a container too."""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.request
from pathlib import Path

import pytest

from bluestone.app.project import Project
from bluestone.host.paths import Home
from bluestone.logs.query.archive import Archive
from machine import Machine, until
from qemu_site import processes
from workplace import free_port

pytestmark = pytest.mark.e2e

SECRET = "hunter2-or-nothing"
PATIENCE = 900.0
"""Seconds for what may build an image and its tools, and boot by emulation on a busy machine."""

PACKAGES = 'packages = ["libcap2-bin", "linux-image-cloud-amd64", "nginx-light"]'
"""With what ships logs, those of `test_image_formats`, so that one tree of them is made for both."""

TELL = """\
[Unit]
Wants=network-online.target
After=network-online.target nginx.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/tell

[Install]
WantedBy=multi-user.target
"""
TELL_SCRIPT = """\
#!/bin/sh
# Writes what a server finds about itself to where nginx serves it.
exec >/var/www/told/draft 2>&1
for file in /etc/machine-id /etc/resolv.conf /proc/mounts /proc/sys/kernel/hostname; do
    echo "== $file"
    cat $file
done
echo "== secret"
sha256sum </run/bluestone/secrets/PASSWORD
echo "== capability"
getcap /usr/local/bin/pinger
echo "== kept"
stat -c '%U %a %n' /srv/data /srv/data/kept /var/log/nginx
echo "== refused"
touch /etc/changed || true
touch /srv/data/new
echo "== failed"
systemctl --failed --no-legend --plain
mv /var/www/told/draft /var/www/told/index.html
"""
FILES = """
"/srv/data/kept" = { content = "kept", owner = "www-data" }
"/usr/lib/tell" = "tell"
"/etc/systemd/system/tell.service" = "tell.service"

[[image.waivers]]
finding = "capability"
path = "/usr/local/bin/pinger"
reason = "a disk must keep it"
"""
RUN = """run = [
    "nginx -t",
    "chown www-data /srv/data && chmod 0750 /srv/data",
    "cp /usr/bin/true /usr/local/bin/pinger && setcap cap_net_raw+ep /usr/local/bin/pinger",
]"""

GROUP = """
[servers.vm]
provider = "qemu"
count = 1
ports = ["PORT:80"]
health = { path = "/health", timeout = "10s" }
environment = { STAGE = "test" }
secrets = { PASSWORD = "env:BLUESTONE_TEST_PASSWORD" }
rollout = { strategy = "rolling", progress = "10m" }
"""


def test_a_virtual_machine_serves_beside_a_container_and_its_lines_outlive_it(machine: Machine) -> None:
    port = free_port()
    machine.environment["BLUESTONE_TEST_PASSWORD"] = SECRET
    declare(machine, port)
    machine.run("lock")
    try:
        machine.run("up", timeout=PATIENCE)
        check_that_it_serves(machine, port)
        name = check_that_it_is_confined(machine)
        check_what_it_finds(port, name)
        check_its_first_lines(machine, name)
        machine.set('provider = "qemu"', 'provider = "podman"')
        machine.run("up", timeout=PATIENCE)
        check_that_it_moved(machine, port, name)
    finally:
        machine.run("down", timeout=PATIENCE)
    check_its_last_lines(machine, name)


def declare(machine: Machine, port: int) -> None:
    """The example's site as one container and one virtual machine, which tells of itself below /told/."""
    machine.set('packages = ["nginx-light"]', PACKAGES)
    machine.set('units = ["nginx.service"]', 'units = ["nginx.service", "tell.service"]')
    machine.set('run = ["nginx -t"]', RUN)
    machine.set('writable = ["/var/lib/nginx"', 'writable = ["/srv/data", "/var/www/told", "/var/lib/nginx"')
    machine.set('"nginx-site.conf"\n', f'"nginx-site.conf"{FILES}')
    machine.set("count = 3", "count = 1")
    machine.declaration.write_text(machine.declaration.read_text() + GROUP.replace("PORT", str(port)))
    (machine.directory / "tell.service").write_text(TELL)
    (machine.directory / "tell").write_text(TELL_SCRIPT)
    (machine.directory / "tell").chmod(0o755)
    site = machine.directory / "nginx-site.conf"
    site.write_text(
        site.read_text().replace("location = /health", "location /told/ { root /var/www; }\n    location = /health")
    )


def check_that_it_serves(machine: Machine, port: int) -> None:
    assert machine.get() == f"{(machine.directory / 'site/index.html').read_text()}"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        assert answer.read().decode() == machine.get()
    machine.run("plan", expect=0)  # nothing is left to do


def check_that_it_is_confined(machine: Machine) -> str:
    (server,) = [server for server in machine.servers() if server["group"] == "vm"]
    name = str(server["name"])
    (line,) = [line for line in processes() if line.startswith("qemu-system") and name in line]
    assert SECRET not in " ".join(processes())
    pids = [path for path in Path("/proc").glob("[0-9]*") if command_of(path) == line]
    status = dict(each.split(":\t", 1) for each in (pids[0] / "status").read_text().splitlines() if ":\t" in each)
    if os.geteuid() == 0:
        assert "0" not in status["Uid"].split()
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    return name


def check_what_it_finds(port: int, name: str) -> None:
    """The image's tree as its disk has it, and what it was handed."""
    until(lambda: page(port, "/told/") is not None, "it has told of itself", PATIENCE)
    told = sections(page(port, "/told/") or "")
    assert told["/proc/sys/kernel/hostname"] == name
    assert re.fullmatch("[0-9a-f]{32}", told["/etc/machine-id"])
    assert told["secret"].split()[0] == hashlib.sha256(SECRET.encode()).hexdigest()
    # QEMU's own network gives this name server by DHCP.
    assert "nameserver 10.0.2.3" in told["/etc/resolv.conf"]
    mounts = {line.split()[1]: line.split() for line in told["/proc/mounts"].splitlines()}
    assert mounts["/"][0] == "/dev/mapper/root"
    assert mounts["/"][2] == "squashfs"
    for path in ("/tmp", "/var/tmp", "/var/log", "/var/lib/systemd", "/srv/data", "/var/lib/nginx", "/var/log/nginx"):
        assert mounts[path][2] == "tmpfs", path
    assert told["capability"] == "/usr/local/bin/pinger cap_net_raw=ep"
    assert told["kept"].splitlines()[:2] == ["www-data 750 /srv/data", "www-data 644 /srv/data/kept"]
    assert "Read-only file system" in told["refused"]
    assert len(told["refused"].splitlines()) == 1
    assert told["failed"] == ""


def sections(page: str) -> dict[str, str]:
    """What stands below each line of `== NAME`."""
    parts = page.split("== ")[1:]
    return {name: rest.strip() for name, _, rest in (part.partition("\n") for part in parts)}


def page(port: int, path: str) -> str | None:
    """A page, or None while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def check_that_it_moved(machine: Machine, port: int, name: str) -> None:
    """A container answers instead, and the virtual machine is gone."""
    (server,) = [server for server in machine.servers() if server["group"] == "vm"]
    assert server["name"] != name
    assert not [line for line in processes() if name in line]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        assert answer.read().decode() == machine.get()


def command_of(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def check_its_first_lines(machine: Machine, name: str) -> None:
    """Its kernel's from its journal, by TLS; its firmware's, which are in no journal, from its console."""
    for text, console in (("Linux version", False), ("BdsDxe: starting", True)):
        (line,) = [json.loads(line) for line in machine.run("logs", name, "--grep", text, "--json").splitlines()]
        assert line["identity"]["server"] == name
        assert (line["unit"] == "console") == console


def check_its_last_lines(machine: Machine, name: str) -> None:
    lines = machine.run("logs", name, "--number", "100000")
    assert "goodbye after" in lines
    assert "reboot: Power down" in lines
    assert SECRET not in lines
    project = Project.open(machine.declaration)
    home = Home(machine.home, machine.home / "run")
    with_home = Project(project.declaration, home)
    archive = Archive(with_home.logs)
    try:
        assert archive.said_goodbye(name)
    finally:
        archive.close()
    assert list((with_home.state / "consoles").iterdir()) == []
