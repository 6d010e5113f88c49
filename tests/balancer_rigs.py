"""What the balancer's tests need around a balancer: servers to balance, and a hand to break things with."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

from bluestone.fleet.balancer import Balancer, Service
from bluestone.fleet.balancers.haproxy import HAProxy
from bluestone.host.daemons import Daemon
from bluestone.model.group import Health, Port
from bluestone.model.inventory import Backend
from bluestone.model.server import Endpoint
from bluestone.simulation.balancer import MemoryBalancer
from workplace import free_port

PATIENCE = 10.0
QUICK = Health(path="/health", interval=timedelta(milliseconds=50), rise=2, fall=2)


def web_service(*ports: int, health: Health = QUICK, group: str = "web") -> Service:
    """Ports of the balancer, each for the server's port 80, 81, ..."""
    return Service(group, tuple(Port(listen, 80 + at) for at, listen in enumerate(ports)), health)


def get(port: int, path: str = "/") -> tuple[int, str]:
    """One request to the balancer: status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that break off are part of the tests."""


class WebServer:
    """A real HTTP server: answers with its name, is as healthy as told, holds `/hold` until released."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.healthy = True
        self.missing: set[str] = set()
        self.held = 0
        self.checked = 0
        self.released = threading.Event()
        self._http = _QuietServer(("127.0.0.1", 0), self._handler())
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/health":
                    server.checked += 1
                if self.path in server.missing:
                    self.send_error(404)
                    return
                if self.path == "/hold":
                    server.held += 1
                    server.released.wait(PATIENCE)
                    server.held -= 1
                body = server.name.encode()
                self.send_response(503 if self.path == "/health" and not server.healthy else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


class Rig(Protocol):
    """A balancer that offers `service` (group `web`, two ports), and its servers."""

    service: Service

    @property
    def balancer(self) -> Balancer:
        """The balancer under test."""

    def boot(self, server: str) -> Endpoint:
        """A healthy server's endpoint; a new one each time."""

    def sicken(self, server: str, port: int) -> None:
        """Make the server's health check fail on one of its ports."""

    def occupy(self, server: str, port: int) -> None:
        """Have a request under way on an attached server, the only one."""

    def release(self) -> None:
        """Let all requests under way end."""

    def receivers(self) -> set[str]:
        """Who answers requests now."""

    def visit(self, times: int) -> None:
        """Ask for something so often, whether or not anybody can answer."""

    def crash(self) -> None:
        """Kill the balancer."""

    def mute(self) -> None:
        """Have the balancer not answer any more."""

    def settle(self) -> None:
        """Let a moment pass."""

    def close(self) -> None:
        """Take everything down."""


def eventually(rig: Rig, holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"within {PATIENCE:g} s: {what}"
        rig.settle()


def backend(balancer: Balancer, server: str) -> Backend | None:
    return next((one for one in balancer.list_backends() if one.server == server), None)


class MemoryRig:
    """The balancer in memory, with servers that are only names."""

    def __init__(self) -> None:
        self.memory = MemoryBalancer()
        self.service = web_service(8080, 8081)
        self._sick: set[str] = set()
        self._booted = 0

    @property
    def balancer(self) -> Balancer:
        return self.memory

    def boot(self, server: str) -> Endpoint:
        self._booted += 1
        return Endpoint("127.0.0.1", {80: self._booted, 81: self._booted + 10_000})

    def sicken(self, server: str, port: int) -> None:
        self._sick.add(server)

    def occupy(self, server: str, port: int) -> None:
        self.memory.set_sessions(server, self.memory.seats[server].sessions + 1)

    def release(self) -> None:
        for server in self.memory.seats:
            self.memory.set_sessions(server, 0)

    def receivers(self) -> set[str]:
        return self.memory.receivers("web")

    def visit(self, times: int) -> None:
        self.memory.arrived["web"] = self.memory.arrived.get("web", 0) + times

    def crash(self) -> None:
        self.memory.crash()

    def mute(self) -> None:
        self.memory.answers = False

    def settle(self) -> None:
        for server in self.memory.seats:
            self.memory.set_health(server, "down" if server in self._sick else "up")

    def close(self) -> None:
        self.memory.answers = True
        self.memory.stop()


class HAProxyRig:
    """Real HAProxy in front of real HTTP servers in this process."""

    def __init__(self, directory: Path) -> None:
        self.state, self.run = directory / "state", directory / "run"
        self.haproxy = HAProxy("test", self.state, self.run, stop_grace=0.5)
        self.service = web_service(free_port(), free_port())
        self.servers: dict[str, dict[int, WebServer]] = {}
        self._all: list[WebServer] = []
        self.clients: list[threading.Thread] = []
        self._stopped: int | None = None

    @property
    def balancer(self) -> Balancer:
        return self.haproxy

    def boot(self, server: str) -> Endpoint:
        self.servers[server] = {port: WebServer(server) for port in (80, 81)}
        self._all += self.servers[server].values()
        return Endpoint("127.0.0.1", {port: web.port for port, web in self.servers[server].items()})

    def sicken(self, server: str, port: int) -> None:
        if server in self.servers:  # else nobody answers there at all
            self.servers[server][port].healthy = False

    def occupy(self, server: str, port: int) -> None:
        web = self.servers[server][port]
        listen = next(one.listen for one in self.service.ports if one.server == port)
        before = web.held
        client = threading.Thread(target=self._hold, args=(listen,), daemon=True)
        client.start()
        self.clients.append(client)
        eventually(self, lambda: web.held > before, f"{server} holds a request")

    def release(self) -> None:
        for web in self._all:
            web.released.set()
        for client in self.clients:
            client.join(PATIENCE)
            assert not client.is_alive()

    def receivers(self) -> set[str]:
        answers = [get(port.listen) for port in self.service.ports for _ in range(6)]
        return {body for status, body in answers if status == 200}

    def visit(self, times: int) -> None:
        for _ in range(times):
            get(self.service.ports[0].listen)

    def crash(self) -> None:
        pid = self.master()
        os.kill(pid, signal.SIGKILL)
        eventually(self, lambda: self._daemon().pid() is None, "HAProxy is dead")

    def mute(self) -> None:
        self.haproxy._runtime.timeout = 0.3
        self._stopped = self.master()
        os.kill(self._stopped, signal.SIGSTOP)

    def master(self) -> int:
        pid = self._daemon().pid()
        assert pid is not None
        return pid

    def settle(self) -> None:
        time.sleep(0.02)

    def close(self) -> None:
        if self._stopped:
            os.kill(self._stopped, signal.SIGCONT)
        self.balancer.stop()
        for web in self._all:
            web.close()

    def _daemon(self) -> Daemon:
        return self.haproxy._process.daemon

    @staticmethod
    def _hold(listen: int) -> None:
        # A severed request ends here with an error, as it should.
        try:
            get(listen, "/hold")
        except OSError:
            return


@contextmanager
def closing(rig: Rig) -> Iterator[Rig]:
    try:
        yield rig
    finally:
        rig.close()
