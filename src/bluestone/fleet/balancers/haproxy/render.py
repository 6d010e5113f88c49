"""HAProxy's configuration as text. Pure; every value that comes from outside is checked before it is written.

Keywords and their meaning: HAProxy's configuration manual, section 4.2 (proxies) and 5.2 (server options).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from bluestone.fleet.balancer import Service
from bluestone.fleet.balancers.haproxy.roster import Roster
from bluestone.model.group import Health, Port
from bluestone.model.ids import MAX_NAME, NAME
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint

SERVER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A host name's label (RFC 1123): no character that HAProxy's command line or configuration could mistake."""

CHECK_PATH = re.compile(r"/[!-&(-~]{0,1023}")
"""A request target in printable ASCII without blanks and without the single quote, which quotes it here."""

SAFE_PATH = re.compile(r"/[^'\"%\\\x00-\x20]*")
"""A file's path that stands quoted, alone or within a log format, and as a word of a command."""

EAGER = timedelta(milliseconds=25)
"""Pace of the checks while a server is down, or between up and down: a rollout waits for servers that boot."""

CLIENT = timedelta(seconds=60)
"""How long a client may be silent."""

MAX_MILLISECONDS = 2**31 - 1

# `timeout connect` stays above 1 s, after which a lost SYN is sent again. Retries would hide a failure, and
# repeat a request that may not be repeated. A worker that a reload has replaced ends after `hard-stop-after`
# at the latest; until then it finishes its requests, and tells idle clients to reconnect with the next answer
# (`idle-close-on-response`), since a bare close could cross a request on its way.
GLOBAL = """\
  noreuseport
  fd-hard-limit 65536
  hard-stop-after 10m
"""
DEFAULTS = f"""\
defaults
  timeout connect 3s
  timeout queue 5s
  timeout client {CLIENT.total_seconds():g}s
  timeout server 60s
  timeout tunnel 1h
  timeout http-request 10s
  timeout http-keep-alive 60s
  retries 0
  no option redispatch
  load-server-state-from-file global
"""
HTTP = """\
  mode http
  balance roundrobin
  option http-keep-alive
  option idle-close-on-response
  option forwardfor
"""
TCP = """\
  mode tcp
  balance leastconn
"""


RETRY_AFTER = 2
"""Seconds after which whoever got the page tries again; a container is there by then."""

PAGE = (
    f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="{RETRY_AFTER}">'
    '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
    "<title>Starting</title>"
    "<style>body{font:1.1em system-ui,sans-serif;max-width:32em;margin:20vh auto;padding:0 1em}</style>"
    "<main><h1>Starting</h1><p>This service was asleep, and is starting. This page tries again by itself.</p></main>"
)

HOLD = Path(__file__).with_name("hold.lua").read_bytes()
"""What keeps requests while no server can take them, in Lua, for HAProxy to load."""


class Account(Struct, frozen=True):
    """The user and group that HAProxy's workers run as when its master runs as root."""

    user: str
    group: str


def configuration(
    roster: Roster,
    *,
    state_file: Path,
    checks_file: Path,
    hold_file: Path,
    account: Account | None = None,
    asleep: Iterable[tuple[str, str]] = (),
) -> str:
    """The whole configuration.

    `state_file` is where the states of the servers are read from at a reload, `checks_file` where `checks` is,
    `hold_file` where `HOLD` is.
    `asleep` names (proxy, server) pairs that shall start in maintenance. Raises `Problem` for a value that
    HAProxy could misunderstand.
    """
    for path in (state_file, checks_file, hold_file):
        if not SAFE_PATH.fullmatch(str(path)):
            raise Problem(f"HAProxy cannot be given the path {path}", mend="set BLUESTONE_HOME to a plainer path")
    lines = ["# Written by bluestone. What is changed here is lost.", "global"]
    lines += [f"  description {digest(roster.services)}", f"  server-state-file '{state_file}'"]
    if account:
        lines += [f"  user {account.user}", f"  group {account.group}"]
    if any(service.hold for service in roster.services):
        lines.append(f"  lua-load-per-thread '{hold_file}'")
    head = "\n".join(lines) + "\n" + GLOBAL + "\n" + DEFAULTS
    sleeping = frozenset(asleep)
    sections = [
        _section(service, port, checks_file) + "".join(_server_lines(roster, service, port, sleeping))
        for service in roster.services
        for port in service.ports
    ]
    return "\n".join([head, *sections])


def digest(services: Sequence[Service]) -> str:
    """Names what is offered, and how: HAProxy carries it as its `description` and so tells what it runs with.

    SHA-256 over the configuration without its servers, in hexadecimal digits.
    """
    parts = [GLOBAL, DEFAULTS]
    parts += [HOLD.decode()] if any(service.hold for service in services) else []
    for service in services:
        for port in service.ports:
            parts += [_section(service, port, Path("/checks")), str(port.server)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def checks(roster: Roster) -> str:
    """The page by which each server is checked, a line each: a map file of HAProxy's, asked at every check."""
    enrolled = roster.enrolments.values()
    return "".join(f"{e.server} {check_path(e.group, e.health.path)}\n" for e in enrolled if e.health.path is not None)


def check_path(group: str, path: str) -> str:
    """The path itself. Raises `Problem` for one that HAProxy could misunderstand."""
    if not CHECK_PATH.fullmatch(path):
        raise Problem(f"{path!r} is no path for a health check", mend=f"change servers.{group}.health")
    return path


def check(services: Sequence[Service]) -> None:
    """Refuse services that cannot be offered together, or hold a value HAProxy could misunderstand."""
    taken: dict[str, str] = {}
    for service in services:
        if not NAME.fullmatch(service.group) or len(service.group) > MAX_NAME:
            raise Problem(f"{service.group!r} is no name for a group of servers")
        for port in service.ports:
            address = _address(port.bind, port.listen)
            if address in taken:
                raise Problem(
                    f"two ports of the balancer are {address}: one of group {taken[address]}, "
                    f"one of group {service.group}",
                    mend=f"change servers.{service.group}.ports",
                )
            taken[address] = service.group
            check_options(service.health, service.health.port or port.server)
        if service.health.path is not None:
            check_path(service.group, service.health.path)
        digest([service])


def proxy_name(group: str, port: Port) -> str:
    """What HAProxy calls the pair of frontend and backend for one port of a group: `web.127.0.0.1:8080`."""
    return f"{group}.{port.bind}:{port.listen}"


def group_of(proxy: str) -> str:
    """The group in a proxy's name."""
    return proxy.partition(".")[0]


def check_server_name(name: str) -> str:
    """The name itself. Raises `Problem` for one that HAProxy could misunderstand."""
    if not SERVER_NAME.fullmatch(name):
        raise Problem(f"{name!r} is no name for a server")
    return name


def server_address(endpoint: Endpoint, port: Port) -> str:
    """Where HAProxy connects to for one port of a server, such as `10.1.2.3:80` or `[fd00::3]:80`."""
    return _address(endpoint.host, endpoint.ports[port.server])


def server_options(health: Health, endpoint: Endpoint, port: Port) -> tuple[str, ...]:
    """How HAProxy checks a server, the same in the configuration and for `add server`."""
    server_port = port.server if health.port is None else health.port
    # An older server may lack a health port that was declared after it was made: then its own port is asked.
    return check_options(health, endpoint.ports.get(server_port, endpoint.ports[port.server]))


def check_options(health: Health, port: int) -> tuple[str, ...]:
    """Server options of a health check on `port`."""
    for name, times in (("rise", health.rise), ("fall", health.fall)):
        if not 1 <= times <= 1000:
            raise Problem(f"a health check's {name} must be from 1 to 1000, not {times}")
    inter, quick = _milliseconds(health.interval), _milliseconds(min(health.interval, EAGER))
    pace = ("inter", inter, "fastinter", quick, "downinter", quick)
    return ("check", *pace, "fall", str(health.fall), "rise", str(health.rise), "port", str(port))


def _section(service: Service, port: Port, checks_file: Path) -> str:
    health = service.health
    lines = [f"listen {proxy_name(service.group, port)}", f"  bind {_address(port.bind, port.listen)}"]
    lines += (HTTP if port.mode == "http" else TCP).splitlines()
    lines.append(f"  timeout check {_milliseconds(health.timeout)}")
    lines += _hold(service, port)
    lines += _page(service, port)
    if health.path is not None:
        page = f"%[srv_name,map_str('{checks_file}',/)]"
        lines.append("  option httpchk")
        lines.append(f'  http-check send meth GET uri-lf "{page}" ver HTTP/1.1 hdr Host localhost')
        lines.append("  http-check expect status 200-399")
    return "\n".join(lines) + "\n"


def _hold(service: Service, port: Port) -> list[str]:
    """Have what comes wait while no server may take it: `be_conn_free` is below 0 only where a usable one has no limit.

    A server that is about to be drained is given a limit first (runtime.Runtime.shut).
    """
    if not service.hold:
        return []
    seconds = f"{service.hold.total_seconds():g}"
    if port.mode == "http":
        return [f"  http-request lua.hold {seconds} if {{ be_conn_free ge 0 }}"]
    # Only within its delay may the inspection of a connection wait, and only while its client may be silent.
    longer = service.hold + timedelta(seconds=1)
    return [
        f"  timeout client {_milliseconds(max(CLIENT, longer))}",
        f"  tcp-request inspect-delay {_milliseconds(longer)}",
        f"  tcp-request content lua.hold {seconds} if {{ be_conn_free ge 0 }}",
    ]


def _page(service: Service, port: Port) -> list[str]:
    """Have what comes while no server can take it be answered with the page."""
    if not service.page or port.mode != "http":
        return []
    headers = f"hdr Retry-After {RETRY_AFTER} hdr Cache-Control no-store"
    return [
        f'  http-request return status 503 content-type "text/html; charset=utf-8" {headers} '
        f"string '{PAGE}' if {{ nbsrv eq 0 }}"
    ]


def _server_lines(roster: Roster, service: Service, port: Port, asleep: frozenset[tuple[str, str]]) -> Iterable[str]:
    proxy = proxy_name(service.group, port)
    for enrolment in roster.enrolments.values():
        if enrolment.group == service.group and port in roster.ports_of(enrolment):
            name = check_server_name(enrolment.server)
            words = ["server", name, server_address(enrolment.endpoint, port)]
            words += server_options(enrolment.health, enrolment.endpoint, port)
            words += ["disabled"] if (proxy, name) in asleep else []
            yield f"  {' '.join(words)}\n"


def _address(host: str, port: int) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        raise Problem(f"{host!r} is no IP address", mend="give the balancer an IP address") from None
    if not 1 <= port <= 65535:
        raise Problem(f"{port} is no port: ports go from 1 to 65535")
    if address.version == 6 and "%" in host:
        raise Problem(f"{host} has a zone, which HAProxy does not take", mend="use an address without a zone")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _milliseconds(span: timedelta) -> str:
    count = round(span.total_seconds() * 1000)
    if not 1 <= count <= MAX_MILLISECONDS:
        raise Problem(f"{span} is no time that HAProxy can keep: 1 ms to 24 days")
    return f"{count}ms"
