"""What podman is called with, as data."""

from __future__ import annotations

import itertools
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.providers.podman import commands
from bluestone.fleet.providers.podman.addresses import Network
from bluestone.fleet.providers.podman.runtime import Runtime
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Resources, SecretRef
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.model.server import ServerSpec

IMAGE = Digest("sha256:" + "1f3a9c0d" * 8)
NETWORK = Network("bluestone-shop", "podman1", IPv4Network("10.89.0.0/24"), IPv4Address("10.89.0.1"))
SECRET = "hunter2"
CONFIG = ServerConfig(
    "podman",
    ports=(80, 443),
    resources=Resources(memory=256 << 20, cpus=1.5),
    environment={"TOKEN": "in-the-environment"},
    secrets=(SecretRef("password", "env", "PASSWORD"),),
    secrets_digest="d1ge57",
)
SPEC = ServerSpec(
    "shop",
    slot=2,
    incarnation=17,
    generation=Generation("web", 3, IMAGE, CONFIG),
    writable=("/var/lib/nginx/", "/var/log"),
    bootfiles={"secrets/password": SECRET.encode()},
)


def place(address: str = "10.89.0.7", logs: str | None = "/run/bluestone/shop/logs") -> commands.Place:
    return commands.Place(
        root=Path("/images/abc/root"),
        bootfiles=Path("/run/bluestone/shop/servers/web/boot"),
        machine_id=Path("/run/bluestone/shop/servers/web/machine-id"),
        log_directory=Path(logs) if logs else None,
        network=NETWORK,
        address=IPv4Address(address),
    )


ORDINARY = Runtime(rootless=False)


def launch(place: commands.Place, runtime: Runtime = ORDINARY) -> list[str]:
    return commands.launch(SPEC, place, runtime)


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == option]


def test_the_root_is_an_overlay_that_may_not_be_written() -> None:
    command = launch(place())
    assert values(command, "--rootfs") == ["/images/abc/root:O"]
    assert "--read-only" in command


def test_the_init_is_systemd_without_a_login_prompt() -> None:
    command = launch(place())
    assert command[command.index("/images/abc/root:O") + 1 :][:2] == ["/sbin/init", "systemd.getty_auto=0"]
    assert "--systemd=always" in command
    assert values(command, "--stop-signal") == ["SIGRTMIN+3"]
    assert values(command, "--restart") == ["no"]


def test_the_init_is_not_hurried_though_podman_is() -> None:
    command = launch(place(), Runtime(rootless=False, hurry=-10))
    assert command[command.index("/images/abc/root:O") + 1 :][:4] == ["/usr/bin/nice", "-n", "10", "/sbin/init"]


def test_all_capabilities_are_dropped_but_those_with_a_reason() -> None:
    command = launch(place())
    assert values(command, "--cap-drop") == ["all"]
    (added,) = values(command, "--cap-add")
    assert set(added.split(",")) == set(commands.CAPABILITIES)
    assert not {"SYS_ADMIN", "NET_RAW", "NET_ADMIN", "MKNOD", "SYS_PTRACE"} & set(commands.CAPABILITIES)
    assert values(command, "--security-opt") == ["no-new-privileges"]


def test_everything_that_can_be_written_or_used_up_is_bounded() -> None:
    command = launch(place())
    mounts = dict(mount.split(":") for mount in values(command, "--tmpfs"))
    assert all("size=" in options for options in mounts.values())
    assert mounts["/var/lib/nginx"] == commands.DECLARED_SIZE
    assert "mode=0755" in mounts["/var/log"], "what is always writable keeps its own options"
    assert values(command, "--log-opt") == ["max-size=1mb"]
    assert values(command, "--pids-limit") == ["2048"]
    assert values(command, "--memory") == ["268435456b"]
    assert values(command, "--cpus") == ["1.5"]


def test_directories_of_this_machine_are_seen_read_only() -> None:
    assert values(launch(place()), "--volume") == [
        "/run/bluestone/shop/servers/web/machine-id:/etc/machine-id:ro",
        "/run/bluestone/shop/servers/web/boot:/run/bluestone:ro",
        "/run/bluestone/shop/logs:/run/bluestone-log:ro",
    ]
    assert len(values(launch(place(logs=None)), "--volume")) == 2


def test_a_secret_and_the_environment_are_in_no_argument() -> None:
    text = " ".join(launch(place()))
    assert SECRET not in text
    assert "in-the-environment" not in text
    assert "--http-proxy=false" in text


def test_a_server_has_its_address_and_the_mac_that_belongs_to_it() -> None:
    command = launch(place())
    assert values(command, "--network") == ["bluestone-shop:ip=10.89.0.7,mac=02:b5:0a:59:00:07"]
    assert values(command, "--publish") == []


def test_without_a_network_ports_stand_on_the_loopback() -> None:
    command = launch(replace(place("127.64.3.2"), network=None))
    assert values(command, "--publish") == ["127.64.3.2:28080:80", "127.64.3.2:28081:443"]
    assert values(command, "--network") == []


def test_limits_that_podman_would_drop_are_refused() -> None:
    with pytest.raises(Problem, match="limits of memory and cpus of web cannot be kept") as caught:
        launch(place(), Runtime(rootless=True, limits=False))
    assert "unified" in caught.value.mend
    unlimited = replace(SPEC, generation=replace(SPEC.generation, config=replace(CONFIG, resources=Resources())))
    assert "--memory" not in commands.launch(unlimited, place(), Runtime(rootless=True, limits=False))


def test_options_of_the_runtime_come_before_the_root() -> None:
    command = launch(place(), Runtime(False, ("--runtime", "runc")))
    assert command.index("--runtime") < command.index("--rootfs")


@pytest.mark.parametrize("path", ["/images:1/root", "/var/lib/x:exec"])
def test_a_path_cannot_smuggle_options(path: str) -> None:
    with pytest.raises(Problem, match=path):
        launch(replace(place(), root=Path(path)))
    with pytest.raises(Problem, match=path):
        commands.launch(replace(SPEC, writable=(path,)), place(), ORDINARY)


def test_names_keep_projects_apart() -> None:
    assert commands.container_name("a", "b-web-0-x-1") != commands.container_name("a-b", "web-0-x-1")


def test_removing_waits_whole_seconds() -> None:
    def wait(grace: timedelta) -> list[str]:
        return values(commands.remove("shop", "web-2", grace), "--time")

    assert wait(timedelta(seconds=10)) == ["10"]
    assert wait(timedelta(milliseconds=-5)) == ["0"]
    assert "bluestone-shop.web-2" in commands.remove("shop", "web-2", timedelta(0))


def test_only_containers_with_the_projects_label_are_listed() -> None:
    assert values(commands.list_containers("shop"), "--filter") == ["label=bluestone.project=shop"]
