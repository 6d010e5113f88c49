"""Volumes in podman: what it is asked, what it answers, and what is refused before anything is destroyed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.providers.podman import commands, volumes
from bluestone.fleet.providers.podman.addresses import loopback
from bluestone.fleet.providers.podman.labels import decode, labels, read_containers, server_of
from bluestone.fleet.providers.podman.runtime import Runtime
from bluestone.fleet.providers.podman.volumes import Volumes
from bluestone.host.commands import CommandFailed
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import ServerSpec
from bluestone.model.volume import VolumeSpec

DATA = VolumeSpec("data", "/srv/data", owner="www-data:adm")
LOG = VolumeSpec("log", "/var/log", size=10_000_000)
CONFIG = ServerConfig("podman", (80,), volumes=(DATA, LOG))
SPEC = ServerSpec("shop", 2, 17, Generation("web", 3, Digest("sha256:" + "1f3a9c0d" * 8), CONFIG))
MADE = datetime(2026, 11, 30, 9, 48, 5, tzinfo=UTC)


def listed(spec: VolumeSpec, slot: int = 2, size: int | None = None) -> dict[str, object]:
    marks = {"bluestone.project": "shop", "bluestone.volume": f"web-{slot}.{spec.name}", "bluestone.group": "web"}
    marks |= {"bluestone.slot": str(slot)} | ({"bluestone.size": str(size)} if size else {})
    return {"Name": f"bluestone-shop.web-{slot}.{spec.name}", "Labels": marks, "CreatedAt": "2026-11-30T09:48:05Z"}


class Fake:
    """podman, as far as volumes go: lists what it has, and says no to what it is told to."""

    def __init__(self, *had: dict[str, object], says: str = "") -> None:
        self.had, self.says, self.calls = list(had), says, list[list[str]]()

    def __call__(self, command: Sequence[str]) -> str:
        self.calls.append(list(command))
        if command[2] == "ls":
            return json.dumps(self.had)
        if self.says:
            raise CommandFailed("it failed", status=125, stderr=self.says)
        return ""

    @property
    def verbs(self) -> list[str]:
        return [call[2] for call in self.calls]


def place() -> commands.Place:
    network = loopback("shop", 1000)
    return commands.Place(Path("/r"), Path("/b"), Path("/m"), None, None, network.subnet[9])


def test_a_server_has_its_volumes_in_their_places_and_nothing_in_memory_there() -> None:
    command = commands.launch(SPEC, place(), Runtime(rootless=True))
    assert "bluestone-shop.web-2.data:/srv/data:nosuid,nodev,noexec" in command
    assert "bluestone-shop.web-2.log:/var/log:nosuid,nodev,noexec" in command
    assert not any(word.startswith("/var/log:") for word in command), "not in memory as well"
    assert any(word.startswith("/var/log/journal:") for word in command), "what is below it still is"


def test_a_container_says_which_volumes_it_holds_until_it_is_gone() -> None:
    endpoint = commands.endpoint(SPEC, place())
    container = {
        "Names": [commands.container_name("shop", SPEC.name)],
        "Labels": labels(SPEC, place().address),
        "State": "running",
        "ExitCode": 0,
        "Created": int(MADE.timestamp()),
        "Ports": [{"container_port": 80, "host_port": endpoint.ports[80], "range": 1}],
    }
    (server,) = read_containers(decode(json.dumps([container]))).values()
    assert server.volumes == ("web-2.data", "web-2.log")
    assert server == server_of(SPEC, endpoint, MADE)
    (dead,) = read_containers(decode(json.dumps([{**container, "State": "exited"}]))).values()
    assert dead.volumes == server.volumes


def test_what_is_missing_is_made_once() -> None:
    podman = Fake(listed(DATA))
    known = Volumes("shop", podman)
    known.ensure("web", [2], [DATA])
    known.ensure("web", [2], [DATA])
    assert podman.verbs == ["ls"]
    known.ensure("web", [2, 3], [DATA])
    assert podman.verbs == ["ls", "ls", "create"]
    assert podman.calls[-1][-1] == "bluestone-shop.web-3.data"


def test_a_size_is_asked_for_and_written_down() -> None:
    command = volumes.create_command("shop", "web", 2, LOG)
    assert command[-3:] == ["--opt", "o=size=10000000", "bluestone-shop.web-2.log"]
    assert "bluestone.size=10000000" in command


def test_a_size_that_cannot_be_kept_is_refused_with_a_mend() -> None:
    says = "Error: volume options size and inodes not supported. Filesystem does not support Project Quota"
    with pytest.raises(Problem, match="the size of the volume log of web cannot be kept here") as refused:
        Volumes("shop", Fake(says=says)).ensure("web", [1], [LOG])
    assert "leave size out" in refused.value.mend


def test_a_volume_that_somebody_makes_meanwhile_is_taken() -> None:
    podman = Fake(says="Error: volume already exists")
    known = Volumes("shop", podman)
    with pytest.raises(CommandFailed):
        known.ensure("web", [2], [DATA])
    lists = iter([[], [listed(DATA)]])

    def late(command: Sequence[str]) -> str:
        if command[2] == "ls":
            return json.dumps(next(lists))
        return podman(command)

    Volumes("shop", late).ensure("web", [2], [DATA])


def test_another_size_than_it_was_made_with_is_refused() -> None:
    with pytest.raises(Problem, match=r"web-2\.log was made of 5 bytes, and is declared 10000000"):
        Volumes("shop", Fake(listed(LOG, size=5))).ensure("web", [2], [LOG])
    with pytest.raises(Problem, match="was made without a size"):
        Volumes("shop", Fake(listed(LOG))).ensure("web", [2], [LOG])


def test_removing_what_a_container_has_is_refused() -> None:
    busy = Fake(listed(DATA), says="Error: volume is being used by the following container(s)")
    with pytest.raises(Refused):
        Volumes("shop", busy).remove("web-2.data")
    Volumes("shop", Fake(says="Error: no such volume")).remove("web-2.data")


def test_another_server_in_whatever_phase_keeps_a_volume() -> None:
    holder = server_of(replace(SPEC, incarnation=16), commands.endpoint(SPEC, place()), MADE)
    for phase in ("creating", "running", "stopping", "dead"):
        with pytest.raises(Problem, match=holder.name):
            volumes.check_free(SPEC, [replace(holder, phase=phase)])
    volumes.check_free(replace(SPEC, slot=3), [holder])


def test_what_the_image_does_not_have_is_found_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nadm:x:4:\n")
    volumes.check_image([DATA, replace(DATA, owner="1000:1000"), replace(DATA, owner="")], tmp_path)
    with pytest.raises(Problem, match="to belong to postgres, and the image has no such user"):
        volumes.check_image([replace(DATA, owner="postgres")], tmp_path)
    with pytest.raises(Problem, match="to belong to staff, and the image has no such group"):
        volumes.check_image([replace(DATA, owner="root:staff")], tmp_path)
    with pytest.raises(Problem, match="which is a file in the image"):
        volumes.check_image([replace(DATA, path="/etc/passwd")], tmp_path)


def test_owners_are_set_at_each_boot() -> None:
    assert volumes.ownership([DATA, LOG]) == b"z /srv/data - www-data adm - -\n"
    assert volumes.ownership([LOG]) == b""


def test_a_list_that_cannot_be_understood_is_a_problem() -> None:
    assert volumes.read_volumes("") == {}
    for text in ("[{}]", "nonsense", json.dumps([{"Name": "x", "Labels": {}, "CreatedAt": "2026-11-30T09:48:05Z"}])):
        with pytest.raises(Problem, match="list of volumes cannot be understood"):
            volumes.read_volumes(text)
