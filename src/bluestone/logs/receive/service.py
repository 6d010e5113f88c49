"""The receiver as a child of bluestone: started when it is needed, left running, stopped with the project."""

from __future__ import annotations

import fcntl
import hashlib
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from bluestone.host.daemons import Daemon
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory, socket_path
from bluestone.model.logs import LogListening
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

if TYPE_CHECKING:
    from bluestone.logs.sink import Chosen

START_TIMEOUT = 15.0
ANSWER_TIMEOUT = 2.0
STOP_GRACE = 12.0
"""Seconds; longer than the receiver gives the requests that it is answering."""

AUTHORITY, RECEIVER = "authority.crt", "receiver.pem"
"""Files of `certificates.py`, named here so that only who makes certificates loads that."""

NOTED, SINKS = "log-receiver.listening", "log-sinks.json"
FIRST_PORT, PORTS = 18_000, 2_000


class Machines(Struct, frozen=True):
    """What the receiver needs for servers that do not share this machine's files.

    `host` is the name or address by which they reach this machine's loopback, `consoles` the directory of what
    their consoles show.
    """

    host: str
    consoles: Path


class Receiver:
    """One project's receiver over the log store in `store`; sockets and process id are kept under `run`.

    With `machines` it listens by TLS as well, on the loopback, at a port that stays the same; with `listen` where that
    says, for others than servers. `sinks` get all lines as well.
    """

    def __init__(
        self,
        store: Path,
        run: Path,
        machines: Machines | None = None,
        listen: LogListening | None = None,
        sinks: Sequence[Chosen] = (),
    ) -> None:
        self._store = store
        self._listen = listen or LogListening()
        self._sinks = sinks
        self._run = run
        self._machines = machines
        self._tls = store / "tls"
        self.socket = run / "log" / "ingest.sock"
        """Where shippers connect. Its directory holds nothing else, and can be mounted into servers."""
        self._daemon = Daemon("the log receiver", run / "log-receiver.pid", run / "log-receiver.out")

    def ensure(self) -> None:
        """Have it run and answer. Cheap when it does. Raises `Problem`, with what the receiver said."""
        with self._alone():
            if not self._serves():
                self._start()

    @property
    def address(self) -> str:
        """`https://HOST:PORT` for servers that do not share this machine's files. Raises `Problem`."""
        assert self._machines, "it listens by TLS only with machines"
        return f"https://{self._machines.host}:{self._port()}"

    @property
    def authority(self) -> bytes:
        """The certificate (PEM) by which those servers know the receiver. Raises `Problem` before `ensure`."""
        try:
            return (self._tls / AUTHORITY).read_bytes()
        except OSError as error:
            raise Problem(f"cannot read {error.filename}: {error.strerror}", mend="run `bluestone up`") from error

    def stop(self) -> None:
        """End it, after it has acknowledged what it was sent. Idempotent. Raises `Problem`."""
        self._daemon.stop(grace=STOP_GRACE)
        self.socket.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether it runs; it may still be unable to store lines, for want of disk."""
        request = b"GET /health HTTP/1.1\r\nHost: bluestone\r\nConnection: close\r\n\r\n"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_TIMEOUT)
                connection.connect(str(self.socket))
                connection.sendall(request)
                return re.match(rb"HTTP/1\.1 (200|503) ", connection.recv(64)) is not None
        except OSError:
            return False

    def _serves(self) -> bool:
        """Whether it runs, for others where they are declared, and for machines if it should."""
        if not self.answers() or self._noted() != self._listening():
            return False
        return self._machines is None or self._serves_by_tls()

    def _serves_by_tls(self) -> bool:
        """Whether it is our receiver that listens there, and with the certificate that is good from now on."""
        import ssl

        certificate = ssl.PEM_cert_to_DER_cert(first_certificate(self._certificate().read_text()))
        try:
            trust = ssl.create_default_context(cafile=str(self._tls / AUTHORITY))
            plain = socket.create_connection(("127.0.0.1", self._port()), timeout=ANSWER_TIMEOUT)
            with plain, trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                return connection.getpeercert(binary_form=True) == certificate
        except OSError:
            return False

    def _certificate(self) -> Path:
        """The receiver's certificate and key, made if there is none that lasts."""
        from bluestone.logs.receive.certificates import ensure_certificate

        names = [*self._listen.names, *addresses(self._listen)]
        names += [self._machines.host] if self._machines else []
        ensure_certificate(self._tls, names, datetime.now(UTC))
        return self._tls / RECEIVER

    def _listening(self) -> str:
        """Where it should listen for others than servers; noted down, for its listeners tell not whose they are."""
        where = f"{self._listen.http or ''} {self._listen.syslog or ''} {' '.join(sorted(self._listen.names))}".strip()
        return f"{where} sinks {sha256(self._encoded_sinks()).hexdigest()}".strip() if self._sinks else where

    def _encoded_sinks(self) -> bytes:
        from bluestone.logs.sink import encoded  # not above: most projects have none

        return encoded(self._sinks)

    def _noted(self) -> str:
        try:
            return (self._run / NOTED).read_text().strip()
        except FileNotFoundError:
            return ""

    def _port(self) -> int:
        """The port for TLS, chosen once: servers are told it at their start."""
        path = private_directory(self._tls) / "port"
        with suppress(FileNotFoundError, ValueError):
            return int(path.read_text())
        with self._alone("log-port.lock"):
            if not path.exists():
                write_atomically(path, f"{choose_port(str(self._store))}\n".encode())
            return int(path.read_text())

    def _start(self) -> None:
        self._daemon.stop(grace=STOP_GRACE)  # one that runs without answering would hold the store
        self.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.socket.parent.chmod(0o755)
        write_atomically(self._run / NOTED, f"{self._listening()}\n".encode())
        self._daemon.start(receiver_command(self._store, socket_path(self.socket), self._more()))
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            if self._daemon.pid() is None or time.monotonic() > deadline:
                raise Problem(
                    f"the log receiver did not start:\n{self._daemon.last_words()}",
                    mend="mend what it says and try again",
                    left="servers keep their lines until a receiver answers",
                )
            time.sleep(0.02)

    def _more(self) -> list[str]:
        """The options by which the receiver serves machines and others."""
        served = [f"127.0.0.1:{self._port()}"] if self._machines else []
        served += [self._listen.http] if self._listen.http else []
        options = [option for address in served for option in ("--tls", address)]
        if self._sinks:
            write_atomically(self._run / SINKS, self._encoded_sinks())
        options += ["--syslog", self._listen.syslog] if self._listen.syslog else []
        if options:
            options += ["--certificate", str(self._certificate()), "--authority", str(self._tls / AUTHORITY)]
        options += ["--sinks", str(self._run / SINKS)] if self._sinks else []
        return [*options, *(["--consoles", str(self._machines.consoles)] if self._machines else [])]

    def certificate_for(self, identity: Identity) -> bytes:
        """A certificate with its key (PEM) by which a server elsewhere is let in until its end. Raises `Problem`."""
        from bluestone.logs.receive.certificates import issue_sender
        from bluestone.logs.receive.credentials import Credentials

        made, der = issue_sender(self._tls, identity.server, datetime.now(UTC))
        with closing(Credentials(self._store)) as credentials:
            credentials.enrol(identity, der)
        return made

    def token_for(self, identity: Identity) -> str:
        """A token by which a server that shares this machine's files is let in until its end. Raises `Problem`."""
        from bluestone.logs.receive.credentials import Credentials

        with closing(Credentials(self._store)) as credentials:
            return credentials.mint(identity)

    @contextmanager
    def _alone(self, lock: str = "log-receiver.lock") -> Iterator[None]:
        """Two commands must not start two receivers: the second would replace the first one's pid file."""
        self._run.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._run / lock).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def first_certificate(pem: str) -> str:
    """The first of a PEM file, which may hold a key as well."""
    certificate, end, _ = pem.partition("-----END CERTIFICATE-----\n")
    return certificate + end


def receiver_command(store: Path, path: Path, more: Sequence[str] = ()) -> list[str]:
    """The command that runs a receiver."""
    return [
        sys.executable,
        "-m",
        "bluestone.logs.receive.receiver",
        "--store",
        str(store),
        "--socket",
        str(path),
        *more,
    ]


def addresses(listen: LogListening) -> list[str]:
    """The IP addresses that somebody can connect to; not those that stand for all of a machine."""
    hosts = {each.rpartition(":")[0].strip("[]") for each in (listen.http, listen.syslog) if each}
    return sorted(host for host in hosts if not ip_address(host).is_unspecified)


def choose_port(seed: str) -> int:
    """A port of the loopback that nobody listens on, below those that Linux hands out by itself. Raises `Problem`."""
    first = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest())
    for step in range(PORTS):
        port = FIRST_PORT + (first + step) % PORTS
        with socket.socket() as attempt, suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            return port
    raise Problem("no port is left for the log receiver", mend=f"free one of {FIRST_PORT} to {FIRST_PORT + PORTS - 1}")
