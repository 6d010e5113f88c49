"""A real PostgreSQL server in a directory of its own, run by an ordinary user; it ends with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from bluestone.logs.receive.certificates import ensure_certificate
from workplace import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
needs_postgres = pytest.mark.skipif(not PROGRAMS, reason="PostgreSQL is not installed")

NEVER_ROOT = "postgres"
"""The user of Debian's package: the server refuses to run as root."""


class PostgresServer:
    """The server, its addresses, and ways to disturb it. `slow` has it flush as it does for good, for benches."""

    def __init__(self, directory: Path, *, slow: bool = False) -> None:
        self.directory = directory
        self.port = free_port()
        self.authority = directory / "authority.crt"
        self._data = directory / "data"
        self._slow = slow
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix = ["setpriv", "--pdeathsig=QUIT", "--"]
        ensure_certificate(directory, ["localhost"], datetime.now(UTC))
        if os.getuid() == 0:
            owner = pwd.getpwnam(NEVER_ROOT)
            self._prefix = [
                "setpriv",
                "--pdeathsig=QUIT",
                f"--reuid={owner.pw_uid}",
                f"--regid={owner.pw_gid}",
                "--clear-groups",
                "--",
            ]
            for path in (directory, *directory.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        initdb = ["initdb", "--no-sync", "--username=owner", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        password = directory / "password"
        password.write_text("correct horse\n")
        password.chmod(0o644)
        self._run(*initdb, f"--pwfile={password}", f"--pgdata={self._data}")
        (self._data / "pg_hba.conf").write_text(
            "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )

    @property
    def address(self) -> str:
        """By the unix socket, without a password."""
        return f"postgresql://owner@/postgres?host={self.directory}&port={self.port}"

    def tcp(self, query: str = "", host: str = "127.0.0.1") -> str:
        """By TCP, for which a password is needed."""
        return f"postgresql://owner@{host}:{self.port}/postgres{query}"

    def start(self) -> None:
        """Run until it answers. It ends with the thread that calls this."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.directory,
            "ssl": "on",
            "ssl_cert_file": self.directory / "receiver.pem",
            "ssl_key_file": self.directory / "receiver.pem",
            "fsync": "on" if self._slow else "off",
            "shared_buffers": "16MB",
            "max_connections": 60,
        }
        settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*self._prefix, str(PROGRAMS[-1]), "-D", str(self._data), *settings], stdout=output, stderr=output
            )
        for _ in range(600):
            if self._process.poll() is not None:
                break
            try:
                psycopg.connect(self.address).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.directory / "output").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: by SIGINT connections are cut and all is tidied up, by SIGQUIT it is as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def execute(self, statement: str, project: str = "") -> list[tuple[object, ...]]:
        """Carry out SQL, behind the journal's back."""
        with psycopg.connect(self.address, autocommit=True) as db:
            if project:
                db.execute(f'SET search_path = "bluestone_{project}"'.encode())
            cursor = db.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(PROGRAMS[-1].with_name(program)), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def postgres(*, slow: bool = False) -> Iterator[PostgresServer]:
    """A running server in a short path: sockets have a limit."""
    directory = Path(tempfile.mkdtemp(prefix="bs-pg-", dir="/var/tmp"))
    try:
        server = PostgresServer(directory, slow=slow)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(directory)
