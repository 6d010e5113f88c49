"""Acting: starts the work of a plan and never waits for it. Waiting is the next observation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from bluestone.fleet.balancer import Balancer
from bluestone.fleet.provider import Provider
from bluestone.model.action import Action, Attach, Create, Destroy, Detach, Dismiss, Enrol
from bluestone.model.inventory import Inventory
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Endpoint, Server, ServerSpec

WORKERS = 4
"""Calls to providers at once. On 2 cores 4 replaced servers faster than 15 did (measured)."""

STOP_GRACE = timedelta(seconds=10)
"""How long a server's init may take to stop its services and send their last log lines."""


class Outcome(Struct, frozen=True):
    """How an action ended; `problem` is None if it worked. `took` in seconds. `server` is what was created, if the
    provider told; `ended` is when the call returned, or failed, if it was made."""

    action: Action
    began: datetime
    took: float
    problem: Problem | None
    server: Server | None = None
    ended: datetime | None = None


class Tools(Struct, frozen=True):
    """What actions are carried out with.

    `outfit` turns a create into what the provider needs; `destroyed` is told which server is gone. `may_act` is asked
    before each call, and raises `Refused` if somebody else may lead by now.
    """

    providers: Mapping[str, Provider]
    balancer: Balancer
    outfit: Callable[[Create], ServerSpec]
    destroyed: Callable[[str], None]
    may_act: Callable[[], None] = lambda: None


class Workers(Protocol):
    """Who makes the calls, several at once, while the loop goes on: threads, or a simulation on virtual time."""

    def submit(self, call: Callable[..., Server | None], *arguments: object) -> Future[Server | None]:
        """Have a call made when its turn comes."""

    def wait(self, calls: Collection[Future[Server | None]], seconds: float) -> None:
        """Return when one of these has ended, at the latest after `seconds`."""

    def close(self) -> None:
        """Wait for the calls that have begun, and cancel the others."""


class Threads:
    """Calls in `WORKERS` threads of this process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="act")

    def submit(self, call: Callable[..., Server | None], *arguments: object) -> Future[Server | None]:
        """Have a call made by the next free thread."""
        return self._pool.submit(call, *arguments)

    def wait(self, calls: Collection[Future[Server | None]], seconds: float) -> None:
        """Wait on the clock of this machine."""
        if calls:
            wait(calls, timeout=seconds, return_when=FIRST_COMPLETED)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Actor:
    """Has actions carried out; knows which are under way."""

    def __init__(self, tools: Tools, clock: Callable[[], datetime], workers: Workers | None = None) -> None:
        self._tools = tools
        self._clock = clock
        self._workers: Workers = workers or Threads()
        self._running: dict[Future[Server | None], tuple[Action, datetime]] = {}
        self._ended: dict[tuple[str, str], datetime] = {}

    def start(self, actions: Sequence[Action], inventory: Inventory) -> None:
        """Begin the actions. `inventory` is what they were planned on."""
        now = self._clock()
        servers = {server.name: server for server in inventory.servers}
        for action in actions:
            server = servers.get(action.server)
            endpoint = server.endpoint if server else None
            self._running[self._workers.submit(self._carry_out, action, endpoint)] = (action, now)

    @property
    def under_way(self) -> tuple[Action, ...]:
        """The actions that were begun and whose outcome was not collected yet."""
        return tuple(action for action, _ in self._running.values())

    def collect(self) -> list[Outcome]:
        """The outcomes of the actions that have ended since the last call."""
        now = self._clock()
        ended = [future for future in self._running if future.done()]
        outcomes = []
        for future in ended:
            action, began = self._running.pop(future)
            problem = _problem(future)
            server = future.result() if problem is None else None
            returned = self._ended.pop((action.verb, action.server), None)
            outcomes.append(Outcome(action, began, (now - began).total_seconds(), problem, server, returned))
        return outcomes

    def wait(self, seconds: float) -> None:
        """Return when an action has ended, at the latest after `seconds`."""
        self._workers.wait(self._running.keys(), seconds)

    @contextlib.contextmanager
    def open(self) -> Iterator[Actor]:
        """On leaving, wait for the actions that have begun; those that have not are dropped."""
        try:
            yield self
        finally:
            self._workers.close()

    def _carry_out(self, action: Action, endpoint: Endpoint | None) -> Server | None:
        try:
            return self._call(action, endpoint)
        finally:
            self._ended[action.verb, action.server] = self._clock()

    def _call(self, action: Action, endpoint: Endpoint | None) -> Server | None:
        balancer = self._tools.balancer
        self._tools.may_act()
        match action:
            case Create():
                provider = self._tools.providers[action.generation.config.provider]
                return provider.create(self._tools.outfit(action))
            case Enrol():
                if endpoint is None:
                    raise Refused(f"{action.server} cannot be reached anywhere")
                balancer.enrol(action.group, action.server, endpoint)
            case Attach():
                balancer.attach(action.server)
            case Detach():
                balancer.detach(action.server)
            case Dismiss():
                balancer.dismiss(action.server, sever=action.sever)
            case Destroy():
                # Each provider destroys what it has; a server that it does not have is no error.
                for provider in self._tools.providers.values():
                    provider.destroy(action.server, STOP_GRACE)
                self._tools.destroyed(action.server)
        return None


def _problem(future: Future[Server | None]) -> Problem | None:
    if future.cancelled():
        return Refused("it was not begun, as bluestone was ending")
    error = future.exception()
    if error is None or isinstance(error, Problem):
        return error
    # A mistake of our own must not pass for a failure of the world.
    raise error
