"""The balancer port on HAProxy: rendered configuration for a start or a reload, the runtime API for the rest.

The roster is written before HAProxy is told to give up a server, and after it was told to take one: a
restart at any moment may have forgotten a server, but never sends requests to one that was given up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec.structs import replace

from bluestone.fleet.balancer import Service
from bluestone.fleet.balancers.haproxy import render
from bluestone.fleet.balancers.haproxy.lock import exclusive
from bluestone.fleet.balancers.haproxy.look import Look
from bluestone.fleet.balancers.haproxy.observation import Sight, belongs
from bluestone.fleet.balancers.haproxy.ports import check_free
from bluestone.fleet.balancers.haproxy.process import Process, unprivileged_account
from bluestone.fleet.balancers.haproxy.roster import Enrolment, Roster
from bluestone.fleet.balancers.haproxy.runtime import NotRunning, Runtime, Unsettled
from bluestone.host.commands import require
from bluestone.host.daemons import Daemon
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory, socket_path
from bluestone.model.group import Health
from bluestone.model.inventory import Backend
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Endpoint

LOCK_PATIENCE = 30.0
DISMISS_PATIENCE = 10.0
TIDY = 1.0
NO_STATES = b"1\n"
"""A file of server states that holds none: only its version."""


class HAProxy:
    """HAProxy 2.6 or later as a managed child of one project.

    `state_directory` gets its configuration and the roster, `run_directory` its socket, pid file and output.
    Both are for the owner alone. `stop_grace` is how many seconds `stop` leaves to requests under way.
    """

    def __init__(self, project: str, state_directory: Path, run_directory: Path, *, stop_grace: float = 5.0) -> None:
        self.project = project
        self._state_directory, self._run_directory = state_directory.absolute(), run_directory.absolute()
        self._roster_file = self._state_directory / "haproxy.json"
        self._states_file = self._state_directory / "haproxy.states"
        self._checks_file = self._state_directory / "haproxy.checks"
        self._hold_file = self._state_directory / "haproxy.lua"
        self._configuration = self._state_directory / "haproxy.cfg"
        self._lock_file = self._run_directory / "haproxy.lock"
        self._stop_grace = stop_grace
        socket = _checked_socket(self._run_directory / "haproxy.sock")
        self._runtime = Runtime(socket)
        daemon = Daemon(
            f"the balancer of {project}",
            self._run_directory / "haproxy.pid",
            self._run_directory / "haproxy.log",
        )
        self._process = Process(daemon, self._configuration, socket, self._runtime)
        self._look = Look(self._runtime, self._roster_file)
        self._tidied_at = 0.0

    # ---- the port -----------------------------------------------------------------------------------------

    def ensure(self, services: Sequence[Service]) -> None:
        """Have HAProxy run with exactly these services; heal what an interrupted change left half done."""
        offered = tuple(service for service in services if service.ports)
        render.check(offered)
        with self._changing():
            roster = Roster.load(self._roster_file) or Roster()
            if not offered:
                self._halt()
                roster.offering((), attached_only=True).save(self._roster_file)
                return
            running = self._running_digest()
            if running is None:
                self._look.tidy = False
                self._start(roster, offered)
            elif running != render.digest(offered):
                self._look.tidy = False
                self._reload(roster, offered)
            elif roster.services != offered:
                # Either a reload was cut short after it had taken effect, or only health checks differ: these are
                # for the servers that are enrolled from now on, and need no reload.
                roster.offering(offered, attached_only=False).save(self._roster_file)
            if not self._look.tidy or time.monotonic() - self._tidied_at > TIDY:
                self._tidy()

    def is_running(self) -> bool:
        """Whether the master runs."""
        return self._process.alive()

    def list_backends(self) -> Sequence[Backend]:
        """Every enrolled server; none before the first `ensure` and after `stop`."""
        sights, told = self._look.servers_and_statistics()
        # Half an enrolment is none: `enrol` completes it, `ensure` removes it.
        whole = [sight for sight in sights.values() if sight.complete or sight.sessions]
        return tuple(sight.backend(told) for sight in sorted(whole, key=lambda sight: sight.server))

    def arrivals(self) -> Mapping[str, int]:
        """What came to all ports of each group; nothing before the first `ensure` and after `stop`."""
        roster = Roster.load(self._roster_file)
        found: dict[str, int] = {}
        if roster is not None and roster.services:
            for proxy, number in self._look.settled(self._runtime.arrivals).items():
                group = render.group_of(proxy)
                found[group] = found.get(group, 0) + number
        return found

    def enrol(self, group: str, server: str, endpoint: Endpoint) -> None:
        """Add a server to all ports of its group, checked but without requests."""
        with self._changing() as roster:
            service = roster.service(group)
            health = service.health if service else Health()
            enrolment = Enrolment(group, render.check_server_name(server), endpoint, health=health)
            _check_endpoint(roster, enrolment)
            sight = self._look.servers().get(server)
            known = roster.enrolments.get(server)
            if sight and known and (known.group, known.endpoint) != (group, endpoint):
                self._give_up_address(roster, sight)
                sight = None
            if sight is None or not sight.complete or not known:
                self._add(roster, enrolment, sight)

    def attach(self, server: str) -> None:
        """Send requests to a server that HAProxy holds for healthy now."""
        with self._changing() as roster:
            sight = self._look.servers().get(server)
            if sight is None or not sight.complete or not sight.entries:
                raise Refused(f"{server} is not enrolled in the balancer")
            if not sight.attached:
                if sight.health != "up":
                    raise Refused(f"{server} is not healthy: its health checks say {sight.health}")
                for entry in sight.entries:
                    self._runtime.open(entry.proxy, server)
                    self._runtime.set_state(entry.proxy, server, "ready")
            self._remember(roster, server, attached=True)

    def detach(self, server: str) -> None:
        """Drain a server."""
        with self._changing() as roster:
            self._remember(roster, server, attached=False)
            sight = self._look.servers().get(server)
            service = roster.service(sight.group) if sight else None
            for entry in sight.entries if sight and service and service.hold else ():
                self._runtime.shut(entry.proxy, server)
                self._runtime.catch_up(entry.proxy)
            self._drain(sight)

    def dismiss(self, server: str, *, sever: bool = False) -> None:
        """Delete a detached server from all ports."""
        with self._changing() as roster:
            sight = self._look.servers().get(server)
            if sight and sight.attached:
                raise Refused(f"{server} is attached: it still gets requests")
            if sight:
                self._drain(sight)
                self._free(sight, sever=sever)
                self._delete(sight)
            if server in roster.enrolments:
                roster.without(server).save(self._roster_file)

    def stop(self) -> None:
        """End HAProxy softly, then surely; remove its files."""
        if not self._run_directory.exists() and not self._state_directory.exists():
            return
        with self._changing():
            self._halt()
            files = (self._roster_file, self._states_file, self._checks_file, self._hold_file, self._configuration)
            for file in (*files, self._lock_file, self._process.daemon.output):
                file.unlink(missing_ok=True)
            for directory in (self._run_directory, self._state_directory):
                with suppress(OSError):  # somebody else keeps a file there
                    directory.rmdir()

    # ---- starting and reloading ---------------------------------------------------------------------------

    def _running_digest(self) -> str | None:
        """What the serving worker offers; None if HAProxy is dead, once nothing is left of it."""
        try:
            return self._look.settled(self._runtime.description)
        except (NotRunning, Unsettled):
            # Without a worker the master ends itself; without a master nobody answers.
            self._process.stop(grace=0)
            return None

    def _start(self, roster: Roster, services: tuple[Service, ...]) -> None:
        require("haproxy")
        wanted = roster.offering(services, attached_only=True)
        self._write(wanted, states=NO_STATES)
        self._process.approve()
        for service in services:
            for port in service.ports:
                check_free(service, port)
        wanted.save(self._roster_file)
        self._process.start(render.digest(services))

    def _reload(self, roster: Roster, services: tuple[Service, ...]) -> None:
        """Take on other services without losing a request; the states of the servers are carried over.

        On a port that a server has not served yet it starts attached if it is on the others, else asleep.
        """
        wanted = roster.offering(services, attached_only=False)
        states = self._look.settled(self._runtime.states)
        sights = self._look.servers()
        asleep = [
            (proxy, server)
            for server in wanted.enrolments
            for proxy in belongs(wanted, server)
            if not (server in sights and (sights[server].attached or proxy in sights[server].proxies))
        ]
        self._write(wanted, states=states.strip().encode() + b"\n", asleep=asleep)
        self._process.approve()
        listening = {(port.bind, port.listen) for service in roster.services for port in service.ports}
        for service in services:
            for port in service.ports:
                if (port.bind, port.listen) not in listening:
                    check_free(service, port)
        self._process.reload(render.digest(services))
        wanted.save(self._roster_file)

    def _write(self, roster: Roster, *, states: bytes, asleep: Sequence[tuple[str, str]] = ()) -> None:
        account = unprivileged_account()
        text = render.configuration(
            roster,
            state_file=self._states_file,
            checks_file=self._checks_file,
            hold_file=self._hold_file,
            account=account,
            asleep=asleep,
        )
        write_atomically(self._hold_file, render.HOLD)
        write_atomically(self._checks_file, render.checks(roster).encode())
        write_atomically(self._configuration, text.encode())
        write_atomically(self._states_file, states)

    def _tidy(self) -> None:
        """Remove what an interrupted change left half done, and have the roster agree with HAProxy.

        That takes several questions, and `ensure` is called often: it is done at first, after a look or a change that
        may have left something to do, and every second, since others may have been cut short.
        """
        self._look.tidy, self._tidied_at = True, time.monotonic()
        roster = Roster.load(self._roster_file) or Roster()
        for sight in self._look.servers().values():
            if sight.complete:
                service = roster.service(sight.group)
                for entry in sight.entries:
                    if entry.asleep:
                        self._runtime.check(entry.proxy, sight.server)
                    elif entry.attached and service and service.hold:
                        # A detach that was cut short may have shut it.
                        self._runtime.open(entry.proxy, sight.server)
                roster = self._remember(roster, sight.server, attached=sight.attached)
            elif not sight.sessions:
                self._delete(sight)
                roster = roster.without(sight.server)
                roster.save(self._roster_file)

    def _halt(self) -> None:
        self._process.stop(self._stop_grace)

    # ---- changing servers ---------------------------------------------------------------------------------

    def _add(self, roster: Roster, enrolment: Enrolment, sight: Sight | None) -> None:
        """Add a server wherever it is missing. The roster comes first: it tells a half from a whole."""
        service = roster.service(enrolment.group)
        assert service is not None
        present = {entry.proxy: entry for entry in sight.entries} if sight else {}
        roster.with_enrolment(enrolment).save(self._roster_file)
        if enrolment.health.path is not None:
            self._runtime.ask_for(self._checks_file, enrolment.server, enrolment.health.path)
        for port in service.ports:
            proxy = render.proxy_name(service.group, port)
            if proxy not in present:
                options = render.server_options(enrolment.health, enrolment.endpoint, port)
                address = render.server_address(enrolment.endpoint, port)
                self._runtime.add(proxy, enrolment.server, address, options)
            if proxy not in present or present[proxy].asleep:
                self._runtime.check(proxy, enrolment.server)

    def _give_up_address(self, roster: Roster, sight: Sight) -> None:
        """Forget a server that comes back with another endpoint."""
        if sight.attached:
            raise Refused(f"{sight.server} is attached with another endpoint")
        self._drain(sight)
        self._free(sight, sever=False)
        self._delete(sight)
        roster.without(sight.server).save(self._roster_file)

    def _drain(self, sight: Sight | None) -> None:
        for entry in sight.entries if sight else ():
            if entry.attached:
                self._runtime.set_state(entry.proxy, entry.server, "drain")

    def _free(self, sight: Sight, *, sever: bool) -> None:
        """See that a drained server holds no sessions: refuse, or end them."""
        end = time.monotonic() + DISMISS_PATIENCE
        while sessions := _sessions(self._look.servers().get(sight.server)):
            if not sever:
                raise Refused(f"{sight.server} still holds {sessions} sessions")
            if time.monotonic() > end:
                raise Problem(f"HAProxy does not end the {sessions} sessions of {sight.server}")
            for worker in ("@1", *self._runtime.replaced_workers()):
                self._runtime.sever(sight.server, worker)
            time.sleep(0.01)

    def _delete(self, sight: Sight) -> None:
        """Delete a server without sessions; HAProxy first closes the idle connections that it keeps to it."""
        for entry in sight.entries:
            self._runtime.set_state(entry.proxy, entry.server, "maint")
        end = time.monotonic() + DISMISS_PATIENCE
        for entry in sight.entries:
            while not self._runtime.delete(entry.proxy, entry.server):
                if time.monotonic() > end:
                    raise Problem(
                        f"HAProxy does not let go of {entry.server}: it still has connections to it",
                        left=f"{entry.server} gets no requests",
                        mend="run it again",
                    )
                time.sleep(0.01)
        self._runtime.forget_page(self._checks_file, sight.server)

    def _remember(self, roster: Roster, server: str, *, attached: bool) -> Roster:
        known = roster.enrolments.get(server)
        if known and known.attached != attached:
            roster = roster.with_enrolment(replace(known, attached=attached))
            roster.save(self._roster_file)
        return roster

    @contextmanager
    def _changing(self) -> Iterator[Roster]:
        """One change at a time, over all threads and processes; yields the roster as it is."""
        private_directory(self._state_directory)
        private_directory(self._run_directory)
        with exclusive(self._lock_file, LOCK_PATIENCE):
            try:
                yield Roster.load(self._roster_file) or Roster()
            except BaseException as error:
                if not isinstance(error, Refused):
                    self._look.tidy = False  # it may have been cut short
                raise


def _check_endpoint(roster: Roster, enrolment: Enrolment) -> None:
    service = roster.service(enrolment.group)
    if service is None:
        raise Problem(f"the balancer offers nothing for the group {enrolment.group}", mend="run `bluestone up`")
    needed = {port.server for port in service.ports} | ({service.health.port} if service.health.port else set())
    if missing := needed - set(enrolment.endpoint.ports):
        listed = ", ".join(str(port) for port in sorted(missing, key=str))
        raise Problem(f"{enrolment.server} cannot be reached on its port {listed}")
    for port in service.ports:
        render.server_address(enrolment.endpoint, port)


def _sessions(sight: Sight | None) -> int:
    return sight.sessions if sight else 0


def _checked_socket(path: Path) -> Path:
    """HAProxy binds a temporary name beside the socket first, and takes a comma for the end of the path."""
    socket_path(path.with_name(f"{path.name}.4194304.tmp"))
    if not path.name or "," in str(path):
        raise Problem(f"HAProxy takes no socket with a comma in its path: {path}", mend="set BLUESTONE_HOME")
    return path
