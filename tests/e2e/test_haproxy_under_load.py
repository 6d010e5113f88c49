"""HAProxy under keep-alive load: servers swapped, killed, reloaded, stopped. Nobody retries anything."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest
from msgspec.structs import replace

from balancer_rigs import QUICK, HAProxyRig, WebServer, backend, eventually, get, web_service
from bench.load import Load, Report
from bluestone.fleet.balancer import Service
from bluestone.fleet.balancers.haproxy import HAProxy
from bluestone.model.group import Health, Port
from bluestone.model.inventory import Backend
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint
from workplace import free_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed"),
]
SWAPS = 20


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HAProxyRig]:
    made = HAProxyRig(tmp_path)
    try:
        made.balancer.ensure([made.service])
        yield made
    finally:
        made.close()
        assert processes_of(made) == [], "HAProxy left a process behind"


def processes_of(rig: HAProxyRig) -> list[int]:
    """Every living process that was started with the rig's configuration."""
    return rig.haproxy._process._of_this_configuration()


def workers_of(rig: HAProxyRig) -> list[int]:
    return [pid for pid in processes_of(rig) if pid != rig.master()]


def url(rig: HAProxyRig) -> str:
    return f"http://127.0.0.1:{rig.service.ports[0].listen}/"


def serve(rig: HAProxyRig, server: str) -> None:
    """Take a server in: enrol, wait for its health, attach."""
    rig.balancer.enrol("web", server, rig.boot(server))
    eventually(rig, lambda: _of(rig, server).health == "up", f"{server} is up")
    rig.balancer.attach(server)


def retire(rig: HAProxyRig, server: str) -> None:
    """Take a server out by the drain recipe, then end it."""
    rig.balancer.detach(server)
    eventually(rig, lambda: _of(rig, server).sessions == 0, f"{server} is idle")
    rig.balancer.dismiss(server)
    for web in rig.servers[server].values():
        web.close()


def _of(rig: HAProxyRig, server: str) -> Backend:
    found = backend(rig.balancer, server)
    assert found is not None
    return found


def grown(load: Load, by: int) -> None:
    """Wait until that many more requests were sent: the load really met what was just done."""
    before, end = load.snapshot().sent, time.monotonic() + 30
    while load.snapshot().sent < before + by:
        assert time.monotonic() < end, "the load stands still"
        time.sleep(0.02)


def without_a_failure(report: Report) -> None:
    assert report.sent > 100
    assert (report.failed, report.by_kind) == (0, {})


def test_servers_are_swapped_without_a_failed_request(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    serve(rig, "web-1")
    with Load(url(rig), connections=4) as load:
        grown(load, 50)
        for swap in range(SWAPS):
            serve(rig, f"web-{swap + 2}")
            retire(rig, f"web-{swap}")
        grown(load, 50)
        without_a_failure(load.stop())
    assert [one.server for one in rig.balancer.list_backends()] == [f"web-{SWAPS}", f"web-{SWAPS + 1}"]


def test_a_server_that_is_killed_undrained_shows_in_the_report(rig: HAProxyRig) -> None:
    # The counter-proof: neither HAProxy nor the load hides a failure.
    serve(rig, "web-0")
    with Load(url(rig), connections=4) as load:
        grown(load, 50)
        for web in rig.servers["web-0"].values():
            web.close()
        grown(load, 20)
        report = load.stop()
    assert report.failed > 0
    assert set(report.by_kind) <= {"status 502", "status 503", "connection closed before the answer"}


def test_a_service_is_added_and_withdrawn_without_a_failed_request(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    serve(rig, "web-1")
    mail = web_service(free_port(), group="mail")
    with Load(url(rig), connections=4) as load:
        for services in ([rig.service, mail], [rig.service]) * 3:
            grown(load, 50)
            rig.balancer.ensure(services)
        grown(load, 50)
        without_a_failure(load.stop())
    assert [one.admission for one in rig.balancer.list_backends()] == ["attached", "attached"]


def test_a_reload_lets_requests_finish_and_still_counts_them(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    rig.occupy("web-0", 80)
    rig.balancer.ensure([rig.service, web_service(free_port(), group="mail")])
    rig.balancer.detach("web-0")
    assert _of(rig, "web-0").sessions == 1
    with pytest.raises(Problem, match="still holds 1"):
        rig.balancer.dismiss("web-0")
    rig.release()
    eventually(rig, lambda: _of(rig, "web-0").sessions == 0, "the request ended")
    eventually(rig, lambda: len(workers_of(rig)) == 1, "the worker before has ended")
    rig.balancer.dismiss("web-0")
    assert rig.balancer.list_backends() == ()


def test_requests_that_a_replaced_worker_holds_can_be_severed(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    rig.occupy("web-0", 80)
    rig.balancer.ensure([rig.service, web_service(free_port(), group="mail")])
    rig.balancer.detach("web-0")
    rig.balancer.dismiss("web-0", sever=True)
    assert rig.balancer.list_backends() == ()
    (client,) = rig.clients
    client.join(5)
    assert not client.is_alive(), "its request goes on"


def test_a_reload_keeps_a_failing_server_out(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    serve(rig, "web-1")
    rig.sicken("web-1", 80)
    eventually(rig, lambda: _of(rig, "web-1").health == "down", "web-1 is down")
    rig.balancer.ensure([rig.service, web_service(free_port(), group="mail")])
    assert _of(rig, "web-1").health == "down"
    assert {get(rig.service.ports[0].listen)[1] for _ in range(8)} == {"web-0"}


@pytest.mark.parametrize("victims", ["master", "worker", "both"])
def test_a_killed_haproxy_is_started_again_and_traffic_goes_on(rig: HAProxyRig, victims: str) -> None:
    serve(rig, "web-0")
    before = processes_of(rig)
    with Load(url(rig), connections=2) as load:
        grown(load, 50)
        chosen = [rig.master()] if victims in ("master", "both") else []
        chosen += workers_of(rig) if victims in ("worker", "both") else []
        for pid in chosen:
            os.kill(pid, signal.SIGKILL)
        rig.balancer.ensure([rig.service])
        grown(load, 100)
        report = load.stop()
    assert report.failed > 0
    assert rig.receivers() == {"web-0"}
    assert not set(before) & set(processes_of(rig)), "an orphan is left"


def test_a_worker_that_outlives_its_master_is_ended(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    (worker,) = workers_of(rig)
    os.kill(worker, signal.SIGSTOP)  # so that it does not notice its master's death
    eventually(rig, lambda: Path(f"/proc/{worker}/stat").read_text().rpartition(") ")[2][0] == "T", "it stands still")
    rig.crash()
    assert processes_of(rig) == [worker]
    rig.balancer.ensure([rig.service])
    assert worker not in processes_of(rig)
    assert rig.receivers() == {"web-0"}


def test_an_interrupted_enrolment_counts_as_none_and_is_tidied_up(rig: HAProxyRig) -> None:
    endpoint = rig.boot("web-0")
    rig.balancer.enrol("web", "web-0", endpoint)
    first = f"web.127.0.0.1:{rig.service.ports[0].listen}"
    runtime = rig.haproxy._runtime
    runtime.set_state(first, "web-0", "maint")
    eventually(rig, lambda: runtime.delete(first, "web-0"), "half of it is gone")
    assert rig.balancer.list_backends() == ()
    with pytest.raises(Problem):
        rig.balancer.attach("web-0")
    rig.balancer.ensure([rig.service])
    assert runtime.entries() == ()
    serve(rig, "web-0")
    assert rig.receivers() == {"web-0"}


def test_an_interrupted_enrolment_is_completed_by_the_next(rig: HAProxyRig) -> None:
    endpoint = rig.boot("web-0")
    rig.balancer.enrol("web", "web-0", endpoint)
    second = f"web.127.0.0.1:{rig.service.ports[1].listen}"
    rig.haproxy._runtime.set_state(second, "web-0", "maint")
    eventually(rig, lambda: rig.haproxy._runtime.delete(second, "web-0"), "half of it is gone")
    rig.balancer.enrol("web", "web-0", endpoint)
    eventually(rig, lambda: _of(rig, "web-0").health == "up", "web-0 is up")


def test_a_reload_whose_caller_was_killed_is_remembered_by_the_next(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    mail = web_service(free_port(), group="mail")
    before = rig.haproxy._roster_file.read_bytes()
    rig.balancer.ensure([rig.service, mail])
    rig.haproxy._roster_file.write_bytes(before)  # as if killed before it was written
    rig.balancer.ensure([rig.service, mail])
    rig.balancer.enrol("mail", "mail-0", rig.boot("mail-0"))
    assert [one.server for one in rig.balancer.list_backends()] == ["mail-0", "web-0"]


def test_a_port_that_comes_later_is_served_by_those_who_have_it(rig: HAProxyRig) -> None:
    http, https = rig.service.ports
    rig.balancer.ensure([Service("web", (http,), rig.service.health)])
    serve(rig, "web-0")
    rig.balancer.enrol("web", "web-1", rig.boot("web-1"))
    older = WebServer("older")
    rig._all.append(older)
    rig.balancer.enrol("web", "older", Endpoint("127.0.0.1", {80: older.port}))
    eventually(rig, lambda: _of(rig, "older").health == "up", "the older server is up")
    rig.balancer.attach("older")
    rig.balancer.ensure([rig.service])
    eventually(rig, lambda: _of(rig, "web-1").health == "up", "web-1 is checked on both ports")
    assert {one.server: one.admission for one in rig.balancer.list_backends()} == {
        "older": "attached", "web-0": "attached", "web-1": "detached",
    }  # fmt: skip
    assert {get(http.listen)[1] for _ in range(8)} == {"web-0", "older"}
    assert {get(https.listen)[1] for _ in range(8)} == {"web-0"}


def test_a_server_is_up_only_after_as_many_checks_as_declared(rig: HAProxyRig) -> None:
    patient = Health(QUICK.path, interval=QUICK.interval, rise=5)
    rig.balancer.ensure([Service("web", rig.service.ports, patient)])
    rig.balancer.enrol("web", "web-0", rig.boot("web-0"))
    eventually(rig, lambda: _of(rig, "web-0").health == "up", "web-0 is up")
    assert all(web.checked >= patient.rise for web in rig.servers["web-0"].values())


def test_a_tcp_port_is_balanced_and_drained(tmp_path: Path) -> None:
    listen, web = free_port(), WebServer("tcp-0")
    balancer = HAProxy("test", tmp_path / "state", tmp_path / "run", stop_grace=0.5)
    try:
        balancer.ensure([Service("db", (Port(listen, 5432, mode="tcp"),), Health())])
        balancer.enrol("db", "db-0", Endpoint("127.0.0.1", {5432: web.port}))
        end = time.monotonic() + 10
        while balancer.list_backends()[0].health != "up":
            assert time.monotonic() < end
            time.sleep(0.02)
        balancer.attach("db-0")
        client = HTTPConnection("127.0.0.1", listen, timeout=5)
        client.request("GET", "/")
        assert client.getresponse().read() == b"tcp-0"
        balancer.detach("db-0")
        assert balancer.list_backends()[0].sessions == 1
        client.request("GET", "/")
        assert client.getresponse().read() == b"tcp-0", "its connection goes on"
        client.close()
    finally:
        balancer.stop()
        web.close()


def test_a_port_in_use_is_a_problem_and_what_serves_goes_on(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        mail = web_service(taken.getsockname()[1], group="mail")
        with pytest.raises(Problem, match=rf"in use by .* \(process {os.getpid()}\)") as caught:
            rig.balancer.ensure([rig.service, mail])
        assert "servers.mail.ports" in caught.value.mend
        assert rig.receivers() == {"web-0"}
    rig.balancer.ensure([rig.service, mail])
    assert _of(rig, "web-0").admission == "attached"


def test_a_configuration_that_haproxy_refuses_is_told_in_its_words(
    rig: HAProxyRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(rig, "web-0")
    monkeypatch.setattr("bluestone.fleet.balancers.haproxy.render.TCP", "  mode telepathy\n")
    mind = Service("mind", (Port(free_port(), 80, mode="tcp"),), Health())
    with pytest.raises(Problem, match="telepathy"):
        rig.balancer.ensure([rig.service, mind])
    assert rig.receivers() == {"web-0"}


def test_the_socket_and_the_files_are_private(rig: HAProxyRig) -> None:
    for directory in (rig.state, rig.run):
        assert directory.stat().st_mode & 0o077 == 0
        for file in directory.iterdir():
            assert file.name == "haproxy.log" or file.stat().st_mode & 0o077 == 0, file


@pytest.mark.skipif(os.getuid() != 0, reason="machine: only a master that runs as root has rights to give up")
def test_workers_do_not_run_as_root(rig: HAProxyRig) -> None:
    assert all(Path(f"/proc/{pid}").stat().st_uid != 0 for pid in workers_of(rig))


def test_stopping_under_load_leaves_no_process_and_no_file(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    with Load(url(rig), connections=2) as load:
        grown(load, 50)
        rig.balancer.stop()
    assert processes_of(rig) == []
    assert not rig.state.exists()
    assert not rig.run.exists()


def test_changes_from_several_processes_are_made_one_after_the_other(rig: HAProxyRig, tmp_path: Path) -> None:
    endpoints = {f"web-{at}": rig.boot(f"web-{at}") for at in range(4)}
    program = (
        "import sys; from pathlib import Path;"
        "from bluestone.fleet.balancers.haproxy import HAProxy; from bluestone.model.server import Endpoint;"
        "b = HAProxy('test', Path(sys.argv[1]), Path(sys.argv[2]));"
        "[b.enrol('web', *w.split(':')[:1], Endpoint('127.0.0.1', dict(zip((80, 81),"
        " map(int, w.split(':')[1:]))))) for w in sys.argv[3:]]"
    )
    words = [":".join([name, *map(str, endpoint.ports.values())]) for name, endpoint in endpoints.items()]
    directories = [str(rig.state), str(rig.run)]
    running = [
        subprocess.Popen([sys.executable, "-c", program, *directories, *order], stderr=subprocess.PIPE)
        for order in (words, words[::-1], words)
    ]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [(b"", 0)] * 3
    assert [one.server for one in rig.balancer.list_backends()] == sorted(endpoints)


def test_another_check_is_for_later_servers_and_costs_the_earlier_no_request(rig: HAProxyRig) -> None:
    """Otherwise the servers that a rollout is about to replace would fail before their successors serve."""
    serve(rig, "web-0")
    for web in rig.servers["web-0"].values():
        web.missing = {"/ready"}
    later = replace(rig.service, health=replace(rig.service.health, path="/ready"))
    with Load(url(rig), connections=2) as load:
        rig.balancer.ensure([later])
        serve(rig, "web-1")
        for web in rig.servers["web-1"].values():
            web.missing = {"/health"}
        grown(load, 100)
        without_a_failure(load.stop())
    for _ in range(2):
        assert [one.health for one in rig.balancer.list_backends()] == ["up", "up"]
        rig.crash()
        rig.balancer.ensure([later])
        # Long enough for every server to be asked `fall` times.
        enough = [(web, web.checked + 3) for web in rig.servers["web-0"].values()]
        eventually(rig, partial(_checked_more_than, enough), "checks")
        eventually(rig, lambda: {one.health for one in rig.balancer.list_backends()} == {"up"}, "all are up")


def _checked_more_than(enough: list[tuple[WebServer, int]]) -> bool:
    return all(web.checked > number for web, number in enough)
