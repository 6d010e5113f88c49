"""Where a PostgreSQL server is, and how it is spoken with: by default never in the clear, nor with an impostor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bluestone.model.problem import Problem

DEFAULTS = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,  # milliseconds: what was sent and not confirmed by then makes the connection lost
    "target_session_attrs": "read-write",
    "client_encoding": "utf8",
    "application_name": "bluestone",
}


def parameters(
    address: str, password: str | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What to connect with. What the address says goes before the defaults, and before libpq's variables.

    Unless the server is on this machine or the address says otherwise, its certificate must be valid and bear its name
    (`sslmode=verify-full`). Raises `Problem` for an address that libpq does not understand, or one with a password.
    """
    variables = os.environ if environment is None else environment
    try:
        given: dict[str, Any] = dict(conninfo_to_dict(address))
    except psycopg.Error as error:
        mend = "write it as postgresql://USER@HOST:PORT/DATABASE"
        raise Problem(f"the address of the journal is not understood: {error}".strip(), mend=mend) from error
    if "password" in given:
        mend = 'leave it out of the address: password = "env:NAME", "file:PATH", or libpq\'s own file (PGPASSFILE)'
        raise Problem("the address of the journal has a password in it", mend=mend)
    if not _is_here(given, variables):
        given.setdefault("sslmode", "verify-full")
    if password is not None:
        given["password"] = password
    return {**DEFAULTS, **given}


def shown(given: Mapping[str, Any]) -> str:
    """The address in a message."""
    host = given.get("host") or given.get("service") or "this machine"
    port = f":{given['port']}" if given.get("port") else ""
    return f"{host}{port}/{given.get('dbname', '')}".rstrip("/")


def _is_here(given: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    if given.get("service") or (variables.get("PGSERVICE") and not given.get("host")):
        return False  # a file says where, which may be anywhere
    hosts = [given.get("hostaddr") or variables.get("PGHOSTADDR"), given.get("host") or variables.get("PGHOST")]
    return all(_is_loopback(host) for named in hosts for host in str(named or "").split(","))


def _is_loopback(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
