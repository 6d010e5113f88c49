"""The web process: where it listens, whom it lets in, and how it ends."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from msgspec.structs import replace

from bluestone.app.logs.web import certificate_for
from bluestone.app.project import Project
from bluestone.app.users import users_of
from bluestone.host import tls
from bluestone.model.problem import Problem
from bluestone.web.app import application
from bluestone.web.gate import Gate, owner
from bluestone.web.site import Site

MAX_CONNECTIONS = 512
GRACE = 3
"""Seconds that answers have once it is asked to end; live tails go on where they were, elsewhere or later."""


def serve(project: Project, listen: str | None, say: Callable[[str], None], *, terminal: bool) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `Problem`.

    `terminal`: whoever reads what it says is at a terminal. Where there are no users it is told an address that lets in
    once; elsewhere that would be written to some log.
    """
    declared = project.declaration.web
    policy = replace(declared, listen=listen) if listen else declared
    host, _, port = policy.listen.rpartition(":")
    address = ip_address(host.strip("[]"))
    users = users_of(project)
    known = bool(users.all())
    secure = not address.is_loopback or policy.certificate is not None
    if not known and not address.is_loopback:
        raise Problem(
            f"{policy.listen} is not on this machine alone, and there are no users",
            mend="add one: bluestone users add NAME --role reader",
        )
    if not known and not terminal:
        raise Problem(
            "there are no users, and no terminal on which to print an address for you: nobody could get in",
            mend="add one: bluestone users add NAME --role reader",
        )
    gate = Gate(
        users,
        secure=secure,
        owner=None if known else owner(project.caller.name),
        kept=project.state / "web-sessions",
    )
    # One that listens everywhere is called by its declared names, or else as this machine is.
    own = socket.gethostname() if address.is_unspecified else host
    names = tuple(dict.fromkeys((*policy.names, own.strip("[]"))))
    site = Site(project, gate)
    with closing(_listener(host.strip("[]"), int(port))) as listener:
        config = _configuration(project, site, names, policy.certificate if secure else None, secure=secure)
        shown = policy.names[0] if policy.names else own
        at = f"{'https' if secure else 'http'}://{shown}:{listener.getsockname()[1]}"
        say(f"{project.name} is at {at}/")
        if not known:
            _offer(gate, at, say)
        uvicorn.Server(config).run([listener])


def _offer(gate: Gate, at: str, say: Callable[[str], None]) -> None:
    """Tell the address that lets in once, and after each use the next."""
    assert gate.one_time

    def tell(key: str) -> None:
        say(f"no users yet; this address lets you in, once: {at}/login?key={key}")

    gate.one_time.told = tell
    tell(gate.one_time.key)


def _configuration(
    project: Project, site: Site, names: tuple[str, ...], certificate: Path | None, *, secure: bool
) -> uvicorn.Config:
    if secure and certificate is None:
        certificate = certificate_for(project, names, datetime.now(UTC))
    config = uvicorn.Config(
        application(site, names),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
        ssl_certfile=certificate,
    )
    if certificate is not None:
        tls.load(config, "[web] certificate")
    return config


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise Problem(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            mend="is it served already? else choose another port: bluestone web --listen ADDRESS:PORT",
        ) from error
