"""What the provider does when podman is missing, fails, hangs, or loses an answer."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.providers.podman import Podman, census, directories, provider
from bluestone.fleet.providers.podman.directories import Directories
from bluestone.fleet.providers.podman.labels import labels
from bluestone.fleet.providers.podman.runtime import Machine
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.ids import Digest
from bluestone.model.problem import MissingTool, Problem
from bluestone.model.server import Server, ServerSpec

MACHINE = Machine(
    root=True,
    may_raise_limits=True,
    cgroups="unified",
    runc=False,
    delegated=True,
    tunnels=True,
    files=1 << 20,
    processes=63_000,
    pid_max=4_194_304,
)
CONFIG = ServerConfig("podman", (80,))
IMAGE = Digest("sha256:" + "1f3a9c0d" * 8)
SPEC = ServerSpec("shop", 0, 1, Generation("web", 1, IMAGE, CONFIG), bootfiles={"secrets/password": b"hunter2"})
GRACE = timedelta(seconds=0)


class FakePodman:
    """A program called `podman` that answers each verb from files, and writes down how it was called.

    `VERB.out` is what it prints, `VERB.err` makes it fail, `VERB.then` is the list of containers afterwards.
    """

    SCRIPT = """#!/bin/sh
pwd > "{directory}/$1.cwd"
cd {directory}
echo "$*" >> calls
case "$1" in network | container) verb=$1-$2 ;; *) verb=$1 ;; esac
while [ -e "$verb.wait" ]; do /bin/sleep 0.01; done
if [ -e "$verb.sleep" ]; then exec /bin/sleep 60; fi
if [ -e "$verb.then" ]; then /bin/cp "$verb.then" ps.out; fi
if [ -e "$verb.out" ]; then /bin/cat "$verb.out"; fi
if [ -e "$verb.err" ]; then /bin/cat "$verb.err" >&2; exit 125; fi
"""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        script = directory / "podman"
        script.write_text(self.SCRIPT.format(directory=directory))
        script.chmod(0o755)
        self.say("ps.out", "[]")
        self.say("network-ls.out", "bluestone-shop")
        subnets = [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}]
        network = {"name": "bluestone-shop", "network_interface": "no-such-bridge", "subnets": subnets}
        self.say("network-inspect.out", json.dumps([network]))

    def say(self, file: str, text: str) -> None:
        (self.directory / file).write_text(text + "\n")

    def await_calls(self, verb: str, count: int) -> None:
        """Return when it has been called so often with a verb."""
        until = time.monotonic() + 10
        while self.calls().count(verb) < count:
            assert time.monotonic() < until
            time.sleep(0.01)

    def calls(self) -> list[str]:
        """The verbs it was called with."""
        calls = self.directory / "calls"
        return [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else []


def listing(state: str, exit_code: int = 0) -> str:
    container = {
        "Names": [f"bluestone-shop.{SPEC.name}"],
        "Labels": labels(SPEC, IPv4Address("10.89.0.7")),
        "State": state,
        "ExitCode": exit_code,
        "Created": 1795469111,
    }
    return json.dumps([container])


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePodman:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(provider, "this_machine", lambda: MACHINE)
    # There is no nice(1) on that path.
    monkeypatch.setattr(provider, "hurry", lambda: 0)
    return FakePodman(tmp_path / "bin")


@pytest.fixture
def podman(fake: FakePodman, tmp_path: Path) -> Podman:
    return Podman("shop", lambda _: tmp_path / "root", tmp_path / "servers", None)


def handed(tmp_path: Path) -> list[str]:
    """The servers that have a directory with what they were handed."""
    return [path.name for path in (tmp_path / "servers").iterdir() if path.is_dir()]


def test_podman_that_is_not_installed_is_named(podman: Podman, fake: FakePodman) -> None:
    (fake.directory / "podman").unlink()
    with pytest.raises(MissingTool) as caught:
        podman.list_servers()
    assert caught.value.mend.endswith("podman")


def test_a_list_that_fails_is_a_problem(podman: Podman, fake: FakePodman) -> None:
    fake.say("ps.err", "Error: database is locked")
    with pytest.raises(Problem, match="database is locked"):
        podman.list_servers()


def test_a_list_that_hangs_is_a_problem(podman: Podman, fake: FakePodman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "QUICK", 0.3)
    fake.say("ps.sleep", "")
    with pytest.raises(Problem, match="did not end within"):
        podman.list_servers()


def test_a_list_that_was_begun_ahead_serves_once(podman: Podman, fake: FakePodman) -> None:
    fake.say("ps.out", listing("running"))
    podman.look_ahead()
    fake.await_calls("ps", 1)
    assert len(podman.list_servers()) == 1
    assert fake.calls() == ["ps"]
    fake.say("ps.out", "[]")
    assert podman.list_servers() == []


def test_a_list_that_was_begun_long_ago_is_not_used(
    podman: Podman, fake: FakePodman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "STALE", 0.0)
    podman.look_ahead()
    fake.await_calls("ps", 1)
    podman.list_servers()
    assert fake.calls() == ["ps", "ps"]


def test_a_list_that_was_begun_ahead_and_fails_is_a_problem(podman: Podman, fake: FakePodman) -> None:
    fake.say("ps.err", "Error: database is locked")
    podman.look_ahead()
    with pytest.raises(Problem, match="database is locked"):
        podman.list_servers()


def test_a_servers_monitor_works_where_the_server_has_its_files(
    podman: Podman, fake: FakePodman, tmp_path: Path
) -> None:
    """conmon leaves a file in its directory when memory runs out, and is in the way of who unmounts that."""
    podman.create(SPEC)
    assert (fake.directory / "run.cwd").read_text().strip() == str(tmp_path / "servers" / SPEC.name)


def test_a_create_whose_answer_is_lost_goes_on(podman: Podman, fake: FakePodman, tmp_path: Path) -> None:
    fake.say("run.then", listing("created"))
    fake.say("run.err", "Error: connection reset")
    podman.create(SPEC)
    assert fake.calls()[-1] == "start"
    assert handed(tmp_path) == [SPEC.name]


def test_a_create_that_fails_leaves_nothing(podman: Podman, fake: FakePodman, tmp_path: Path) -> None:
    fake.say("run.err", "Error: no space left on device")
    with pytest.raises(Problem, match="no space left"):
        podman.create(SPEC)
    assert "start" not in fake.calls()
    assert handed(tmp_path) == []


def test_a_server_that_does_not_start_is_said_to_be_left(podman: Podman, fake: FakePodman) -> None:
    fake.say("run.then", listing("created"))
    for verb in ("run", "start"):
        fake.say(f"{verb}.err", "Error: address already in use")
    with pytest.raises(Problem, match="already in use") as caught:
        podman.create(SPEC)
    assert caught.value.left == f"{SPEC.name} exists, but is not started"


def test_a_start_whose_answer_is_lost_is_no_problem(podman: Podman, fake: FakePodman) -> None:
    fake.say("run.then", listing("created"))
    fake.say("start.then", listing("running"))
    for verb in ("run", "start"):
        fake.say(f"{verb}.err", "Error: connection reset")
    podman.create(SPEC)
    assert [server.phase for server in podman.list_servers()] == ["running"]


def test_a_server_that_runs_though_its_answer_was_lost_is_not_started_again(podman: Podman, fake: FakePodman) -> None:
    fake.say("run.then", listing("running"))
    fake.say("run.err", "Error: connection reset")
    assert podman.create(SPEC).phase == "running"
    assert "start" not in fake.calls()


def test_servers_that_are_made_at_once_have_addresses_of_their_own(podman: Podman, fake: FakePodman) -> None:
    """No list shows what podman is still making, and a list is taken while it does."""
    started = threading.Barrier(3)

    def make(incarnation: int) -> Server:
        started.wait(10)
        return podman.create(replace(SPEC, incarnation=incarnation))

    fake.say("run.wait", "")
    with ThreadPoolExecutor(4) as threads:
        making = [threads.submit(make, incarnation) for incarnation in (1, 2, 3)]
        fake.await_calls("run", 3)
        assert podman.list_servers() == []
        one_more = threads.submit(podman.create, replace(SPEC, incarnation=4))
        fake.await_calls("run", 4)
        (fake.directory / "run.wait").unlink()
        servers = [each.result(10) for each in (*making, one_more)]
    assert len({server.endpoint.host for server in servers if server.endpoint}) == 4


@pytest.mark.parametrize(
    ("said", "tool", "package"),
    [
        ("netavark: No such file or directory (os error 2)", "iptables", "iptables"),
        ("netavark: nftables error: unable to execute nft: No such file or directory (os error 2)", "nft", "nftables"),
    ],
)
def test_a_firewall_that_is_not_installed_is_named(
    podman: Podman, fake: FakePodman, said: str, tool: str, package: str
) -> None:
    fake.say("run.then", listing("created"))
    for verb in ("run", "start"):
        fake.say(f"{verb}.err", f"Error: {said}")
    with pytest.raises(MissingTool, match=tool) as caught:
        podman.create(SPEC)
    assert caught.value.mend.endswith(package)


def test_a_firewall_is_named_only_where_the_network_failed(podman: Podman, fake: FakePodman) -> None:
    fake.say("run.then", listing("created"))
    for verb in ("run", "start"):
        fake.say(f"{verb}.err", "Error: address already in use")
    with pytest.raises(Problem, match="address already in use"):
        podman.create(SPEC)


def test_a_server_that_was_never_started_is_started(podman: Podman, fake: FakePodman) -> None:
    fake.say("ps.out", listing("created"))
    podman.create(SPEC)
    assert fake.calls() == ["ps", "start", "network"]


def test_a_dead_server_that_vanishes_meanwhile_is_still_listed(podman: Podman, fake: FakePodman) -> None:
    fake.say("ps.out", listing("exited", exit_code=137))
    fake.say("container-inspect.err", "Error: no such container")
    (server,) = podman.list_servers()
    assert "its init was killed (status 137)" in server.detail


def test_a_server_that_ran_out_of_memory_says_so(podman: Podman, fake: FakePodman) -> None:
    fake.say("ps.out", listing("exited", exit_code=137))
    end = {"ExitCode": 137, "OOMKilled": True, "Error": ""}
    fake.say("container-inspect.out", json.dumps([f"bluestone-shop.{SPEC.name}", end]))
    (server,) = podman.list_servers()
    assert server.detail == "it ran out of memory (status 137)"


def test_a_destroy_that_fails_on_what_is_gone_is_no_problem(podman: Podman, fake: FakePodman, tmp_path: Path) -> None:
    Directories(tmp_path / "servers").write("shop", SPEC.name, SPEC.bootfiles)
    fake.say("rm.err", "Error: no such container")
    podman.destroy(SPEC.name, GRACE)
    assert handed(tmp_path) == []


def test_a_destroy_that_keeps_failing_is_a_problem(
    podman: Podman, fake: FakePodman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "SLOW", 0.5)
    Directories(tmp_path / "servers").write("shop", SPEC.name, SPEC.bootfiles)
    fake.say("ps.out", listing("running"))
    fake.say("rm.err", "Error: device or resource busy")
    with pytest.raises(Problem, match="busy"):
        podman.destroy(SPEC.name, GRACE)
    assert handed(tmp_path) == [SPEC.name], "a server that may run keeps its files"
    assert fake.calls().count("rm") > 1


def test_creates_look_once_unless_somebody_else_made_or_removed_a_server(
    podman: Podman, fake: FakePodman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks(slot: int) -> int:
        before = fake.calls().count("ps")
        podman.create(replace(SPEC, slot=slot, incarnation=slot + 1))
        return fake.calls().count("ps") - before

    assert [looks(slot) for slot in (0, 1, 2)] == [1, 0, 0]
    creates = [line for line in (fake.directory / "calls").read_text().splitlines() if line.startswith("run")]
    assert len({line.split("bluestone.address=")[1].split()[0] for line in creates}) == 3
    podman.destroy("web-0-1f3a9c0d-1", GRACE)
    assert looks(3) == 0
    Podman("shop", lambda _: tmp_path / "root", tmp_path / "servers", None).destroy("web-1-1f3a9c0d-2", GRACE)
    assert looks(4) == 1, "another process removed one"
    podman.list_servers()
    assert looks(5) == 0
    monkeypatch.setattr(census, "FRESH", 0.0)
    assert looks(6) == 1


def test_an_address_is_free_again_once_its_server_is_gone(podman: Podman, fake: FakePodman) -> None:
    def address(incarnation: int) -> str:
        podman.create(replace(SPEC, incarnation=incarnation))
        *_, last = [line for line in (fake.directory / "calls").read_text().splitlines() if line.startswith("run")]
        return last.split("bluestone.address=")[1].split()[0]

    first = address(1)
    assert address(2) != first, "two servers in one slot have an address each"
    podman.destroy("web-0-1f3a9c0d-1", GRACE)
    assert address(3) == first


def test_a_network_that_another_makes_meanwhile_is_taken(podman: Podman, fake: FakePodman) -> None:
    fake.say("network-ls.out", "")
    fake.say("network-inspect.err", "Error: no such network")
    fake.say("network-create.err", "Error: network name already used")
    with pytest.raises(Problem, match="already used"):
        podman.prepare()
    (fake.directory / "network-inspect.err").unlink()
    podman.prepare()
    assert fake.calls().count("network") == 4, "one look is enough if it is there"


def test_what_servers_that_are_gone_left_behind_is_swept(podman: Podman, fake: FakePodman, tmp_path: Path) -> None:
    for name in (SPEC.name, "web-0-1f3a9c0d-7"):
        Directories(tmp_path / "servers").write("shop", name, SPEC.bootfiles)
    fake.say("ps.out", listing("running"))
    podman.prepare()
    podman.list_servers()
    assert handed(tmp_path) == [SPEC.name]


def test_nothing_is_swept_when_the_list_fails(podman: Podman, fake: FakePodman, tmp_path: Path) -> None:
    Directories(tmp_path / "servers").write("shop", SPEC.name, SPEC.bootfiles)
    fake.say("ps.err", "Error: database is locked")
    podman.prepare()
    with pytest.raises(Problem):
        podman.list_servers()
    assert handed(tmp_path) == [SPEC.name]


def test_what_a_server_is_handed_is_for_root_alone(tmp_path: Path) -> None:
    kept = Directories(tmp_path / "servers")
    kept.write("shop", SPEC.name, SPEC.bootfiles)
    secret = kept.bootfiles(SPEC.name) / "secrets" / "password"
    assert secret.read_bytes() == b"hunter2"
    assert secret.stat().st_mode & 0o777 == 0o400
    assert {path.stat().st_mode & 0o777 for path in (secret.parent, secret.parents[1], tmp_path / "servers")} == {0o700}


@pytest.mark.parametrize("path", ["../machine-id", "/etc/passwd", "", "secrets/../../x"])
def test_a_boot_file_stays_in_its_directory(tmp_path: Path, path: str) -> None:
    with pytest.raises(Problem, match="outside"):
        Directories(tmp_path / "servers").write("shop", SPEC.name, {"environment": b"", path: b"x"})
    assert handed(tmp_path) == []


@pytest.mark.parametrize("name", ["..", "../web", "", "-f", "web/1"])
def test_only_servers_names_are_taken_for_directories(tmp_path: Path, name: str) -> None:
    (tmp_path / "web").mkdir()
    with pytest.raises(Problem, match="not the name"):
        Directories(tmp_path / "servers").remove(name)
    assert (tmp_path / "web").exists()


def test_waiting_for_others_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "PATIENCE", 0.05)
    kept = Directories(tmp_path / "servers")
    with kept.exclusive(), pytest.raises(Problem, match="somebody else"), kept.exclusive():
        pass
    with kept.exclusive():
        assert handed(tmp_path) == []


def test_servers_have_machine_ids_of_their_own() -> None:
    ids = {directories.machine_id(project, name) for project in ("a", "a-b") for name in ("web-0", "b-web-0")}
    assert len(ids) == 4
    assert all(len(one) == 32 and int(one, 16) for one in ids)
