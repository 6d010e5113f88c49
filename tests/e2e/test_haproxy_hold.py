"""Requests that wait at HAProxy while no server can take them: each reaches one server, once."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace

from balancer_rigs import HAProxyRig, backend, eventually, get
from bench.load import Load
from bluestone.fleet.balancers.haproxy.render import proxy_name
from bluestone.model.group import Port
from bluestone.model.server import Endpoint
from workplace import free_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed"),
]
SWAPS = 12


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HAProxyRig]:
    made = HAProxyRig(tmp_path)
    made.service = replace(made.service, hold=timedelta(seconds=8))
    try:
        made.balancer.ensure([made.service])
        yield made
    finally:
        made.close()


def serve(rig: HAProxyRig, server: str, endpoint: Endpoint | None = None) -> None:
    rig.balancer.enrol("web", server, endpoint or rig.boot(server))
    eventually(rig, lambda: (of := backend(rig.balancer, server)) and of.health == "up", f"{server} is up")
    rig.balancer.attach(server)


def retire(rig: HAProxyRig, server: str) -> None:
    rig.balancer.detach(server)
    eventually(rig, lambda: (of := backend(rig.balancer, server)) and of.sessions == 0, f"{server} is idle")
    rig.balancer.dismiss(server)


def test_no_request_fails_while_one_server_goes_before_the_next_comes(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    with Load(f"http://127.0.0.1:{rig.service.ports[0].listen}/", connections=8) as load:
        for swap in range(SWAPS):
            retire(rig, f"web-{swap}")
            for web in rig.servers[f"web-{swap}"].values():
                web.close()
            time.sleep(0.05)
            serve(rig, f"web-{swap + 1}")
        report = load.stop()
    assert report.failed == 0, report.line()
    assert report.sent > SWAPS, "there was load throughout"


class Counting(BaseHTTPRequestHandler):
    """Counts what it is sent; health checks are GETs."""

    posted: list[bytes] = []  # noqa: RUF012 - the handler's class is what the test looks at
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_post_is_held_and_made_once(rig: HAProxyRig) -> None:
    Counting.posted.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    answers: list[int] = []

    def post(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", rig.service.ports[0].listen, timeout=10)
        connection.request("POST", "/order", body=b"order %d" % number)
        answers.append(connection.getresponse().status)
        connection.close()

    clients = [threading.Thread(target=post, args=(number,)) for number in range(20)]
    try:
        for client in clients:
            client.start()
        time.sleep(0.3)
        assert answers == [], "nobody is there to answer"
        serve(rig, "web-0", Endpoint("127.0.0.1", dict.fromkeys((80, 81), server.server_address[1])))
        for client in clients:
            client.join(10)
    finally:
        server.shutdown()
        server.server_close()
    assert answers == [200] * 20
    assert sorted(Counting.posted) == sorted(b"order %d" % number for number in range(20))


def test_a_detach_that_was_cut_short_holds_nobody_for_long(rig: HAProxyRig) -> None:
    serve(rig, "web-0")
    port = rig.service.ports[0]
    rig.haproxy._runtime.shut(proxy_name("web", port), "web-0")
    answer: list[str] = []
    client = threading.Thread(target=lambda: answer.append(get(port.listen)[1]))
    client.start()
    time.sleep(0.3)
    assert answer == []
    end = time.monotonic() + 4
    while client.is_alive() and time.monotonic() < end:
        rig.balancer.ensure([rig.service])
        time.sleep(0.1)
    assert answer == ["web-0"]


def test_connections_are_held_too(rig: HAProxyRig) -> None:
    port = free_port()
    rig.service = replace(rig.service, ports=(Port(port, 80, "tcp"),))
    rig.balancer.ensure([rig.service])
    got: list[str] = []
    client = threading.Thread(target=lambda: got.append(get(port)[1]))
    client.start()
    time.sleep(0.3)
    assert got == []
    serve(rig, "web-0")
    client.join(10)
    assert got == ["web-0"]


def test_what_is_held_too_long_fails(rig: HAProxyRig) -> None:
    rig.balancer.ensure([replace(rig.service, hold=timedelta(seconds=0.4))])
    assert get(rig.service.ports[0].listen)[0] == 503


def test_without_hold_nothing_waits(rig: HAProxyRig) -> None:
    rig.balancer.ensure([replace(rig.service, hold=timedelta(0))])
    assert get(rig.service.ports[0].listen)[0] == 503
