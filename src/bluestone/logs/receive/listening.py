"""Where a receiver listens, and what serves its application there."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from bluestone.host import tls
from bluestone.host.paths import socket_path
from bluestone.model.problem import Problem

MAX_CONNECTIONS = 4096
GRACE = 10
"""Seconds that requests in flight have, once the receiver is asked to end."""

KEEP_ALIVE = 300


def listen_unix(path: Path, mode: int) -> socket.socket:
    """A unix socket at `path`, in the place of one that a dead process left. Raises `Problem`.

    `mode` says who may connect: permission bits, as of a file.
    """
    draft = socket_path(path.with_name(f"{path.name}.new"))
    listener = socket.socket(socket.AF_UNIX)
    try:
        draft.unlink(missing_ok=True)
        listener.bind(str(draft))
        # Nobody can have connected before: it does not listen yet.
        draft.chmod(mode)
        listener.listen(512)
        draft.replace(path)
    except OSError as error:
        listener.close()
        raise Problem(f"cannot listen on {path}: {error.strerror}", mend="make its directory writable") from error
    return listener


def listen_loopback(address: str) -> socket.socket:
    """A TCP socket at a loopback `HOST:PORT`; elsewhere tokens would travel in clear. Raises `Problem`."""
    host, _, port = address.rpartition(":")
    with suppress(ValueError):
        if ip_address(host.strip("[]")).is_loopback and 0 <= int(port) < 65_536:
            return listen_tcp(address)
    raise Problem(
        f'cannot listen on "{address}": it is not a loopback address with a port',
        mend="say 127.0.0.1:PORT, or have it speak TLS: --tls HOST:PORT --certificate FILE",
    )


def listen_tcp(address: str) -> socket.socket:
    """A TCP socket at `HOST:PORT`, where HOST is an IP address. Raises `Problem`."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=512)
    except (ValueError, OverflowError) as error:
        raise Problem(f'cannot listen on "{address}": {error}', mend="say ADDRESS:PORT") from error
    except OSError as error:
        raise Problem(f"cannot listen on {address}: {error.strerror}", mend="choose another port") from error


class Listening(Struct, frozen=True):
    """Where a receiver listens: at a unix socket, at a loopback address and, with a certificate, by TLS.

    `authority` is the certificate of whoever issues those of senders; `syslog` is where that is taken.
    """

    path: Path
    plain: str | None = None
    tls: tuple[str, ...] = ()
    certificate: Path | None = None
    authority: Path | None = None
    syslog: str | None = None


class Server(uvicorn.Server):
    """One of several servers in this process, which ends them all itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def servers(app: Starlette, listening: Listening) -> Iterator[tuple[Server, list[socket.socket]]]:
    """What serves the application, and where. Raises `Problem`."""
    # Anybody who reaches it may connect: its directory is mounted into servers, where the shipper is not root, and
    # what lets lines in is the token.
    plain = [listen_unix(listening.path, 0o666)]
    plain += [listen_loopback(listening.plain)] if listening.plain else []
    yield Server(configuration(app)), plain
    if listening.tls:
        config = configuration(app, listening.certificate, listening.authority)
        tls.load(config, "--certificate FILE")
        yield Server(config), [listen_tcp(address) for address in listening.tls]


class Certified(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """HTTP as uvicorn speaks it; a request's scope has the `client_certificate` (DER) that its connection came with."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Note who is on the other side; the handshake, and with it the check of the certificate, is over."""
        super().connection_made(transport)
        secure = transport.get_extra_info("ssl_object")
        if secure is None or (certificate := secure.getpeercert(binary_form=True)) is None:
            return
        served: ASGIApp = self.app  # type: ignore[has-type]

        async def with_certificate(scope: Scope, receive: Receive, send: Send) -> None:
            await served({**scope, "client_certificate": certificate}, receive, send)

        self.app = with_certificate


def configuration(app: Starlette, certificate: Path | None = None, authority: Path | None = None) -> uvicorn.Config:
    """How requests are served, by TLS if there is a certificate; those of senders are this authority's."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
        http=Certified,
        ssl_certfile=certificate,
        ssl_ca_certs=str(authority) if authority else None,
        # A sender with a token needs none; one that shows a certificate must have a good one.
        ssl_cert_reqs=ssl.CERT_OPTIONAL if authority else ssl.CERT_NONE,
    )
