"""The small parts around HAProxy: commands, versions, lock, roster, ports."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from bluestone.fleet.balancer import Service
from bluestone.fleet.balancers.haproxy import HAProxy
from bluestone.fleet.balancers.haproxy.lock import exclusive
from bluestone.fleet.balancers.haproxy.ports import check_free, holder_of
from bluestone.fleet.balancers.haproxy.process import check_command, parse_version, serve_command
from bluestone.fleet.balancers.haproxy.roster import Enrolment, Roster
from bluestone.model.group import Health, Port
from bluestone.model.problem import MissingTool, Problem
from bluestone.model.server import Endpoint

WEB = Service("web", (Port(8080, 80),), Health("/health"))


def test_haproxy_runs_as_master_and_worker_in_the_foreground_with_a_private_socket() -> None:
    assert serve_command(Path("/s/haproxy.cfg"), Path("/r/haproxy.sock")) == [
        "haproxy", "-W", "-db", "-S", "/r/haproxy.sock,mode,600", "-f", "/s/haproxy.cfg",
    ]  # fmt: skip
    assert check_command(Path("/s/haproxy.cfg")) == ["haproxy", "-c", "-f", "/s/haproxy.cfg"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", (2, 6)),
        ("HA-Proxy version 2.2.9-2+deb11u6 2023/08/19", (2, 2)),
        ("HAProxy version 3.0.11-1+deb13u1", (3, 0)),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_no_version_is_a_problem() -> None:
    with pytest.raises(Problem, match="no version"):
        parse_version("Segmentation fault")


def test_a_missing_haproxy_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="haproxy is not installed") as caught:
        HAProxy("test", tmp_path / "state", tmp_path / "run").ensure([WEB])
    assert "apt-get install" in caught.value.mend
    assert not (tmp_path / "state" / "haproxy.json").exists()


@pytest.mark.parametrize("name", ["a,b", "x" * 100])
def test_a_directory_whose_socket_haproxy_could_not_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem):
        HAProxy("test", tmp_path, tmp_path / name)


def test_without_any_port_there_is_nothing_to_run(tmp_path: Path) -> None:
    balancer = HAProxy("test", tmp_path / "state", tmp_path / "run")
    balancer.ensure([Service("worker", (), Health())])
    assert not balancer.is_running()
    assert balancer.list_backends() == ()
    balancer.stop()
    assert list(tmp_path.rglob("haproxy.*")) == []


def test_stopping_what_never_ran_leaves_nothing(tmp_path: Path) -> None:
    HAProxy("test", tmp_path / "state", tmp_path / "run").stop()
    assert list(tmp_path.iterdir()) == []


# ---- roster ---------------------------------------------------------------------------------------------


def test_a_roster_comes_back_as_it_was(tmp_path: Path) -> None:
    server = Enrolment("web", "web-0", Endpoint("10.0.0.1", {80: 8000}), attached=True)
    roster = Roster((WEB,), {"web-0": server})
    roster.save(tmp_path / "roster")
    assert Roster.load(tmp_path / "roster") == roster
    assert Roster.load(tmp_path / "none") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"enrolments": {"a": 1}}'])
def test_a_broken_roster_is_a_problem_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "roster").write_bytes(content)
    with pytest.raises(Problem, match=str(tmp_path / "roster")):
        Roster.load(tmp_path / "roster")


def test_another_offer_keeps_the_servers_that_have_a_place_in_it() -> None:
    servers = {
        name: Enrolment(group, name, Endpoint("10.0.0.1", {80: 80}), attached=name == "a")
        for group, name in (("web", "a"), ("web", "b"), ("mail", "c"))
    }
    roster = Roster((WEB,), servers)
    assert set(roster.offering((WEB,), attached_only=False).enrolments) == {"a", "b"}
    assert set(roster.offering((WEB,), attached_only=True).enrolments) == {"a"}
    assert roster.offering((), attached_only=False).enrolments == {}


# ---- lock -----------------------------------------------------------------------------------------------


def test_a_lock_that_stays_held_is_a_problem_that_names_it(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", 1), pytest.raises(Problem, match="another bluestone"):  # noqa: SIM117
        with exclusive(tmp_path / "lock", 0.02):
            pytest.fail("two hold it")


def test_one_who_waited_for_a_removed_lock_does_not_share_it_with_a_newcomer(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", 0, 0

    def change() -> None:
        nonlocal inside, most
        for _ in range(20):
            with exclusive(path, 30):
                inside += 1
                most = max(most, inside)
                os.sched_yield()
                inside -= 1
                path.unlink()

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


# ---- ports ----------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_with_its_holder_and_the_key_to_change() -> None:
    with socket.socket() as taken:
        # As another HAProxy would have it: shared with whoever else asks to share it.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        with pytest.raises(Problem) as caught:
            check_free(WEB, Port(port, 80))
    assert f"127.0.0.1:{port}: the port is in use" in caught.value.what
    assert f"(process {os.getpid()})" in caught.value.what
    assert "servers.web.ports" in caught.value.mend


def test_a_free_port_is_left_free() -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
    check_free(WEB, Port(port, 80))
    check_free(WEB, Port(port, 80))
    assert holder_of(port) is None


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(Problem, match=r"192\.0\.2\.1:8080") as caught:
        check_free(WEB, Port(8080, 80, bind="192.0.2.1"))
    assert "servers.web.ports" in caught.value.mend


def test_a_holder_that_cannot_be_seen_is_none(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    row = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1"
    (tmp_path / "net" / "tcp").write_text(f"{header}\n{row}\n")
    assert holder_of(8080, tmp_path) is None
    files = tmp_path / "42" / "fd"
    files.mkdir(parents=True)
    (files / "3").symlink_to("socket:[4711]")
    (tmp_path / "42" / "comm").write_text("nginx\n")
    assert holder_of(8080, tmp_path) == "nginx (process 42)"
    assert holder_of(8081, tmp_path) is None
