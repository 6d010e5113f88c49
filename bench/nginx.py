"""nginx as a peer: the same servers behind it, swapped by a new configuration and a reload."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream servers {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
}}
"""


def find_nginx(cache: Path) -> Path | None:
    """nginx's program: this machine's, or unpacked from its package, which would start it if installed."""
    if found := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
        return Path(found)
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "-q", "nginx"], cwd=cache, check=False, capture_output=True)
    for package in cache.glob("nginx_*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(cache / "root")], check=True)
    program = cache / "root" / "usr" / "sbin" / "nginx"
    return program if program.exists() else None


class Nginx:
    """A running nginx of our own."""

    def __init__(self, program: Path, directory: Path, port: int) -> None:
        self._program = program
        self._directory = directory
        self._port = port

    @contextmanager
    def serving(self, addresses: Sequence[str]) -> Iterator[Nginx]:
        """Run it in front of these `host:port` addresses."""
        self._configure(addresses)
        process = subprocess.Popen(
            [
                str(self._program),
                "-c",
                str(self._directory / "nginx.conf"),
                "-e",
                str(self._directory / "error.log"),
            ]
        )
        try:
            self._wait()
            yield self
        finally:
            process.terminate()
            process.wait(10)

    def swap(self, addresses: Sequence[str]) -> None:
        """Put other servers behind it: a new configuration, and a reload."""
        self._configure(addresses)
        os.kill(int((self._directory / "nginx.pid").read_text()), signal.SIGHUP)

    def _configure(self, addresses: Sequence[str]) -> None:
        servers = " ".join(f"server {address};" for address in addresses)
        text = CONFIGURATION.format(directory=self._directory, port=self._port, servers=servers)
        (self._directory / "nginx.conf").write_text(text)

    def _wait(self) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=2).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise SystemExit(f"nginx did not start:\n{(self._directory / 'error.log').read_text()}")
