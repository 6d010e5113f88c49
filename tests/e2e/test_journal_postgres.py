"""The journal in a real PostgreSQL that is cut off, stopped and ended, and whose leaders are stopped and continued."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.controller.failover import contend
from bluestone.fleet.controller.act import Tools
from bluestone.fleet.controller.controller import Controller
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.journal import Entry, Unreachable
from bluestone.fleet.controller.lock import introduce
from bluestone.fleet.journals.postgres import PostgresJournal
from bluestone.model.action import Create
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy
from bluestone.model.inventory import Backend
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import ServerSpec
from bluestone.simulation.balancer import MemoryBalancer
from bluestone.simulation.provider import SimulatedProvider
from postgres_server import PostgresServer, needs_postgres, postgres
from workplace import free_port

pytestmark = [pytest.mark.e2e, needs_postgres]

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
PASSWORD = "correct horse"
SHORT = timedelta(milliseconds=300)
IMAGE = "sha256:" + "a" * 64
CONFIG = ServerConfig("podman", (80,))


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    with postgres() as server:
        yield server


class Proxy:
    """Stands between a journal and its server, and cuts a connection around a COMMIT when told to."""

    def __init__(self, server: PostgresServer) -> None:
        self.port = free_port()
        self.cut = ""
        """`before` the server gets the next COMMIT, or `after`, before its answer is handed on."""
        self.cuts = 0
        self._server = server.port
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self) -> str:
        return f"postgresql://owner@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                threading.Thread(target=self._forth, args=(client, server), daemon=True).start()
                threading.Thread(target=self._back, args=(client, server), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.cut and b"COMMIT" in data:
                    how, self.cut = self.cut, ""
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    if how == "after":
                        server.sendall(data)
                        time.sleep(0.2)
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("cut", ["before", "after"])
def test_an_entry_is_written_once_though_the_answer_to_its_commit_is_lost(
    postgres_server: PostgresServer, cut: str
) -> None:
    proxy = Proxy(postgres_server)
    journal = PostgresJournal(f"cut-{cut}", proxy.address(), PASSWORD, patience=10)
    with leading(journal, introduce("one")):
        for number in range(3):
            proxy.cut = cut
            journal.record(NOW, [Entry("a.b", data={"n": number}), Entry("c.d")], incarnations=number + 1)
            journal.generation("web", f"sha256:{number:064x}", CONFIG, keep=True)
    assert proxy.cuts == 3
    assert [event.data.get("n") for event in journal.events()] == [0, None, 1, None, 2, None]
    assert journal.verify() is None
    assert journal.next_incarnation() == 4
    journal.close()
    proxy.close()


def test_a_lost_answer_to_a_takeover_is_no_second_takeover(postgres_server: PostgresServer) -> None:
    proxy = Proxy(postgres_server)
    journal = PostgresJournal("cut-take", proxy.address(), PASSWORD)
    proxy.cut = "after"
    assert journal.take(introduce("one"), SHORT).epoch == 1
    assert proxy.cuts == 1
    journal.close()
    proxy.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_started_again_is_found_again(own_server: PostgresServer, how: signal.Signals) -> None:
    journal = PostgresJournal(f"again-{how}", own_server.address, patience=30)
    written = threading.Event()

    def write() -> None:
        with leading(journal, introduce("one")):
            for number in range(300):
                journal.record(NOW, [Entry("a.b", data={"n": number})])
                if number == 20:
                    written.set()

    writer = threading.Thread(target=write)
    writer.start()
    written.wait(30)
    own_server.stop(how)
    own_server.start()
    writer.join()
    assert [event.data["n"] for event in journal.events()] == list(range(300))
    assert journal.verify() is None
    journal.close()


def test_without_a_server_nothing_is_begun_and_whoever_asks_is_told(own_server: PostgresServer) -> None:
    journal = PostgresJournal("gone", own_server.address, patience=0.5)
    with leading(journal, introduce("one"), length=SHORT):
        own_server.stop()
        try:
            with pytest.raises(Unreachable, match="cannot be reached") as told:
                journal.record(NOW, [Entry("a.b")])
            with pytest.raises(Refused, match="could not be renewed"):
                journal.fence.may_act()
            with pytest.raises(Unreachable):
                PostgresJournal("gone", own_server.address)
        finally:
            own_server.start()
        assert "nothing that was not recorded has been done" in told.value.left
        journal.record(NOW, [Entry("c.d")])
        journal.fence.may_act()
    assert [event.kind for event in journal.events()] == ["c.d"]
    journal.close()


class Healthy(MemoryBalancer):
    """Finds every server healthy."""

    def list_backends(self) -> Sequence[Backend]:
        for seat in self.seats.values():
            seat.health = "up"
        return super().list_backends()


def test_a_rollout_pauses_while_the_server_is_away_and_blames_nobody(own_server: PostgresServer) -> None:
    journal = PostgresJournal("pauses", own_server.address, patience=30)
    generation = journal.generation("web", IMAGE, CONFIG, keep=True)
    journal.record(datetime.now(UTC), [Entry("rollout.started", "web", data={"generation": 1})])
    provider = SimulatedProvider("p", lambda: datetime.now(UTC))
    created: list[str] = []
    once, gone = threading.Lock(), threading.Event()

    def outfit(create: Create) -> ServerSpec:
        if created and once.acquire(blocking=False):
            own_server.stop()
            gone.set()
        created.append(create.server)
        return ServerSpec("p", create.slot, create.incarnation, create.generation)

    tools = Tools({"podman": provider}, Healthy(), outfit, created.remove, journal.fence.may_act)
    group = Group("web", count=3, ports=(Port(8080, 80),), rollout=RolloutPolicy("rolling", Amount(1), Amount(0)))
    with leading(journal, introduce("one")):
        controller = Controller([Goal(group, generation)], tools, journal, lambda: datetime.now(UTC))
        with ThreadPoolExecutor(1) as pool:
            last = pool.submit(controller.run)
            assert gone.wait(30)
            time.sleep(1.5)
            own_server.start()
            assert last.result().done
    assert len(provider.list_servers()) == 3
    kinds = {event.kind for event in journal.events()}
    assert not kinds & {"rollout.halted", "rollout.paused", "action.failed", "server.died"}
    assert journal.verify() is None
    journal.close()


def test_the_password_is_needed_and_never_told(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="password authentication failed") as told:
        PostgresJournal("secret", postgres_server.tcp(), "wrong horse")
    assert "wrong horse" not in str(told.value)
    journal = PostgresJournal("secret", postgres_server.tcp(), PASSWORD)
    assert PASSWORD not in repr(vars(journal)["_main"])
    journal.close()


def test_a_certificate_must_be_of_the_known_authority_and_bear_the_name(
    postgres_server: PostgresServer, own_server: PostgresServer
) -> None:
    def connect(authority: Path, host: str, address: str) -> None:
        query = f"?sslmode=verify-full&sslrootcert={authority}&hostaddr={address}"
        PostgresJournal("tls", postgres_server.tcp(query, host), PASSWORD).close()

    connect(postgres_server.authority, "localhost", "127.0.0.1")
    with pytest.raises(Unreachable, match="certificate verify failed"):
        connect(own_server.authority, "localhost", "127.0.0.1")
    with pytest.raises(Unreachable, match='does not match host name "elsewhere"'):
        connect(postgres_server.authority, "elsewhere", "127.0.0.1")


def test_an_ordinary_role_with_a_schema_of_its_own_suffices(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE ROLE plain LOGIN")
    plain = postgres_server.address.replace("owner@", "plain@")
    with pytest.raises(Problem, match="permission denied") as told:
        PostgresJournal("plain", plain)
    assert "may create the schema bluestone_plain" in told.value.mend
    postgres_server.execute("CREATE SCHEMA bluestone_plain AUTHORIZATION plain")
    journal = PostgresJournal("plain", plain)
    journal.record(NOW, [Entry("a.b")])
    journal.close()


def test_a_journal_of_a_newer_bluestone_is_refused(postgres_server: PostgresServer) -> None:
    PostgresJournal("newer", postgres_server.address).close()
    postgres_server.execute("UPDATE version SET number = 99", "newer")
    with pytest.raises(Problem, match="newer bluestone"):
        PostgresJournal("newer", postgres_server.address)


STOPPED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from bluestone.fleet.controller.act import Tools
from bluestone.fleet.controller.controller import Controller
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.lease import Fenced
from bluestone.fleet.controller.lock import introduce
from bluestone.fleet.journals.postgres import PostgresJournal

class Stopping(PostgresJournal):
    def _append(self, head, rows):
        print("in the middle", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        return super()._append(head, rows)

journal = Stopping("middle", sys.argv[1])
try:
    with leading(journal, introduce("one"), length=timedelta(milliseconds=300)):
        journal.record(datetime.now(UTC), [Entry("stale.write")])
        print("written")
except Fenced:
    print("fenced")
"""


def test_a_leader_that_is_stopped_in_the_middle_of_a_transaction_keeps_nobody_waiting(
    postgres_server: PostgresServer,
) -> None:
    journal = PostgresJournal("middle", postgres_server.address)
    command = [sys.executable, "-c", STOPPED, postgres_server.address]
    stopped = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert stopped.stdout is not None
    assert stopped.stdout.readline() == "in the middle\n"
    with leading(journal, introduce("two"), take_over=True):
        journal.record(NOW, [Entry("a.b")])
        stopped.send_signal(signal.SIGCONT)
        assert stopped.communicate()[0] == "fenced\n"
    assert [event.kind for event in journal.events()] == ["lease.taken", "a.b"]
    journal.close()


def test_leaders_that_are_stopped_and_continued_write_nothing_stale(postgres_server: PostgresServer) -> None:
    pair = contend(postgres_server.address, "contended", 20, SHORT)
    assert len(pair.failovers) == 20
    assert pair.whole
    assert pair.stale_writes == 0
    assert pair.fenced > 0, "nobody ever tried"


def test_without_the_epoch_they_would(postgres_server: PostgresServer) -> None:
    assert contend(postgres_server.address, "unfenced", 4, SHORT, unfenced=True).stale_writes > 0
