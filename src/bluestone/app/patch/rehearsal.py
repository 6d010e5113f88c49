"""A patched image tried before the rollout: one server of it beside the fleet, which nobody sends a request to.

It is of a provider's project of its own, so that no plan counts it, has volumes of its own, empty ones, and is gone
before the rollout begins. It must boot, pass its group's health check, and send a line.
"""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing, suppress

from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.fleet.beside import room
from bluestone.app.fleet.rollout import Failure, Site
from bluestone.app.image.lock import Progress
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.provider import Provider
from bluestone.logs.query.archive import Archive
from bluestone.model.action import Create
from bluestone.model.group import Group, Health
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, Server

REHEARSED = "patch.rehearsed"

STEP = 0.1
"""Seconds between two looks where the group declares no check of its own."""

LOOKS = 0.5
"""Seconds between two looks whether the server is still there."""

LINES = 15
"""How many of its last lines are shown of a server that failed."""


def rehearse(site: Site, goal: Goal, patch: str, progress: Progress) -> Failure | None:
    """Start one server of the goal's generation and end it; return why it is not fit to serve, if it is not.

    What one that was killed left is cleared first. The site has what servers need around them. Raises `Problem`.
    """
    generation, group = goal.generation, goal.group
    provider = wiring.provider_beside(site.project, group.provider)
    if provider is None:
        progress(f"{group.name}: the provider {group.provider} has no room for a server beside the fleet")
        return None
    number = site.project.journal.next_incarnation()
    create = Create(1, number, generation, "to see whether the patched image works")
    began = time.monotonic()
    with room(site.project, group.provider, provider):
        text = "is started beside the fleet: does it boot, is it healthy, does it send a line"
        site.record([Entry("patch.rehearses", group.name, create.server, text, {"patch": patch})], incarnations=number)
        try:
            server = _started(site, provider, create)
            why = _unfit(site, provider, server, group)
        except Problem as problem:
            why = problem.what
        lines = _last_lines(site, provider, create.server) if why else ()
    site.destroyed(create.server)
    if why:
        return Failure(
            group.name, f"a server of the patched image, tried beside the fleet, {why}", create.server, lines
        )
    text = f"it booted, was healthy and sent its lines; it is gone again after {time.monotonic() - began:.1f} s"
    data = {"patch": patch, "image": generation.image}
    site.record([Entry(REHEARSED, group.name, create.server, text, data)])
    return None


def passes(endpoint: Endpoint, port: int, health: Health) -> str:
    """Ask a server once as its group's check says: why it does not pass, empty if it does."""
    timeout = health.timeout.total_seconds()
    address = endpoint.host, endpoint.ports.get(port, port)
    try:
        if health.path is None:
            socket.create_connection(address, timeout).close()
            return ""
        with closing(http.client.HTTPConnection(*address, timeout=timeout)) as connection:
            connection.request("GET", health.path)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {error.strerror or error}" if isinstance(error, OSError) else f"port {port}: no HTTP"
    return "" if 200 <= status < 400 else f"port {port}: {health.path} is answered {status}"


def _started(site: Site, provider: Provider, create: Create) -> Server:
    spec = replace(site.outfit(create), project=wiring.name_beside(site.project))
    made = provider.create(spec)
    return made or _seen(provider, create.server)


def _seen(provider: Provider, name: str) -> Server:
    found = next((server for server in provider.list_servers() if server.name == name), None)
    if found is None:
        raise Problem("is gone", mend="look at what its provider says")
    return found


def _unfit(site: Site, provider: Provider, server: Server, group: Group) -> str:
    """Why a server is not fit to serve by the end of its time, empty as soon as it is."""
    health, ports = group.health, sorted({group.health.port or port.server for port in group.ports})
    until = time.monotonic() + group.rollout.progress.total_seconds()
    passed, looked = 0, time.monotonic()
    why = "did not become healthy"
    while time.monotonic() < until:
        if time.monotonic() - looked >= LOOKS:
            server, looked = _seen(provider, server.name), time.monotonic()
            if server.phase == "dead":
                return f"ended: {server.detail}" if server.detail else "ended"
        endpoint = server.endpoint
        if endpoint is not None or not ports:
            refused = next(filter(None, (passes(endpoint, port, health) for port in ports if endpoint)), "")
            passed = 0 if refused else passed + 1
            why = f"did not become healthy: {refused}" if refused else why
            if passed >= (health.rise if ports else 1):
                if _has_spoken(site, server.name):
                    return ""
                why = "is healthy, and none of its log lines arrived"
        time.sleep(health.interval.total_seconds() if ports else STEP)
    return f"{why} (within {group.rollout.progress.total_seconds():g} s)"


def _has_spoken(site: Site, server: str) -> bool:
    with closing(Archive(site.project.logs)) as archive:
        return bool(archive.last_lines(server, 1))


def _last_lines(site: Site, provider: Provider, server: str) -> tuple[str, ...]:
    """What it wrote last; by its console, where none of its lines arrived."""
    with closing(Archive(site.project.logs)) as archive:
        found = archive.last_lines(server, LINES)
    if found:
        return tuple(f"{record.at:%H:%M:%S} {record.unit}: {record.message}" for record in found)
    with suppress(Problem):
        return tuple(provider.console(server, LINES))
    return ()
