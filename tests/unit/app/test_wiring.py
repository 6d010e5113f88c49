"""What is needed on this machine is found missing before anything is begun."""

from __future__ import annotations

import ssl
from contextlib import closing
from pathlib import Path

import pytest

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.fleet.providers.qemu import provider as qemu
from bluestone.host.paths import Home
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.service import first_certificate
from bluestone.model.generation import ServerConfig
from bluestone.model.group import LogPolicy
from bluestone.model.problem import Problem, Problems
from bluestone.model.record import Identity

IMAGE = 'project = "shop"\n[image]\nbase = "debian:trixie"\npackages = ["linux-image-cloud-amd64"]\n'
BOTH = '[servers.web]\nports = ["8080:80"]\n[servers.vm]\nprovider = "qemu"\n'


def project(tmp_path: Path, groups: str) -> Project:
    (tmp_path / "bluestone.toml").write_text(IMAGE + groups)
    opened = Project.open(tmp_path / "bluestone.toml")
    return Project(opened.declaration, Home(tmp_path / "home", tmp_path / "home" / "run"))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any of the programs."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(qemu, "FIRMWARE", ())


def missing(project: Project, *, building: bool) -> list[str]:
    with pytest.raises(Problems) as raised:
        wiring.require_tools(project, building=building)
    return [problem.mend.split()[-1] for problem in raised.value.problems]


@pytest.mark.usefixtures("bare")
def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    one = project(tmp_path, BOTH)
    assert missing(one, building=True) == [
        *("podman", "qemu-system-x86", "haproxy"),
        *("apt", "dpkg", "ovmf"),
    ]
    assert missing(one, building=False) == ["podman", "qemu-system-x86", "haproxy", "ovmf"]


@pytest.mark.usefixtures("bare")
def test_what_is_not_used_is_not_asked_for(tmp_path: Path) -> None:
    assert missing(project(tmp_path, '[servers.web]\nports = ["8080:80"]\n'), building=False) == ["podman", "haproxy"]
    assert missing(project(tmp_path, '[servers.vm]\nprovider = "qemu"\n'), building=False) == [
        "qemu-system-x86",
        "ovmf",
    ]


def test_a_provider_that_nobody_brings_is_a_problem(tmp_path: Path) -> None:
    one = project(tmp_path, BOTH)
    with pytest.raises(Problem, match='no provider is called "nowhere"') as raised:
        wiring.providers(one, ["nowhere"])
    assert raised.value.mend.startswith("choices: podman, qemu")
    assert list(wiring.providers(one, ["qemu", "podman"])) == ["podman", "qemu"]


def test_containers_ship_by_a_socket_and_machines_by_tls(tmp_path: Path) -> None:
    one = project(tmp_path, BOTH)
    receiver = wiring.receiver(one, ["podman", "qemu"])
    rules = LogPolicy(files=("/var/log/app.log",), mask=("token=(.+)",))
    identity = Identity("shop", "web-1", "web", 1, "sha256:ab")
    files = wiring.log_files(receiver, identity, ServerConfig("podman", logs=rules))
    assert (files["logs/endpoint"], files["logs/ca"]) == (b"unix:/run/bluestone-log/ingest.sock\n", b"")
    assert files["logs/rules"] == b"file /var/log/app.log\nmask token=(.+)\n"
    assert files["logs/certificate"] == b""
    with closing(Credentials(one.logs)) as credentials:
        assert credentials.holder(files["logs/token"].decode().strip()) == 1
    identity = Identity("shop", "vm-1", "vm", 1, "sha256:ab")
    files = wiring.log_files(receiver, identity, ServerConfig("qemu"))
    assert files["logs/endpoint"] == f"{receiver.address}\n".encode()
    assert receiver.address.startswith("https://10.0.2.2:1")
    assert b"CERTIFICATE" in files["logs/ca"]
    assert files["logs/token"] == b""
    with closing(Credentials(one.logs)) as credentials:
        assert credentials.certified(ssl.PEM_cert_to_DER_cert(first_certificate(files["logs/certificate"].decode())))
        credentials.revoke("vm-1")
        assert not credentials.certified(
            ssl.PEM_cert_to_DER_cert(first_certificate(files["logs/certificate"].decode()))
        )
