"""The balancer port: who gets the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from msgspec import Struct

from bluestone.model.group import Health, Port
from bluestone.model.inventory import Backend
from bluestone.model.server import Endpoint


class Service(Struct, frozen=True):
    """What the balancer offers for one group: the ports it listens on, and how it checks the servers.

    While no server can take them, requests (connections, on a TCP port) wait for `hold`; with none they fail at once.
    With `page` they are answered 503 instead, with a page that says to try again (`Retry-After`).
    """

    group: str
    ports: tuple[Port, ...]
    health: Health
    hold: timedelta = timedelta(0)
    page: bool = False


class Balancer(Protocol):
    """Sends the requests of one project to its servers.

    The contract, checked by `tests/conformance/test_balancer.py` on every adapter:

    - Each step has its precondition checked where it takes effect (compare-and-set) and raises `Refused`,
      changing nothing, when it does not hold. Each is idempotent: a step already taken is no error.
    - A server is checked as its group's service says when it is enrolled, until it is dismissed.
    - A server is enrolled in all ports of its group or in none; `health` is `up` only if it is up on all of
      them, `sessions` is the sum.
    - No request is lost by `enrol`, `attach`, `detach`, or by `dismiss` of a server without sessions.
    - What is held has been sent to no server: none is asked twice.
    - A balancer that died is started again by `ensure`, with the servers that were attached.
    """

    def ensure(self, services: Sequence[Service]) -> None:
        """Have the balancer run, offering exactly these services. Cheap when it does. Raises `Problem`."""

    def is_running(self) -> bool:
        """Whether it runs now. One that does not knows no servers."""

    def list_backends(self) -> Sequence[Backend]:
        """Every enrolled server. Raises `Problem` when the balancer does not answer; never returns a part."""

    def arrivals(self) -> Mapping[str, int]:
        """How many requests (connections, on a TCP port) came for each group since the balancer began to count, which
        it does anew now and then. Raises `Problem` when it does not answer."""

    def enrol(self, group: str, server: str, endpoint: Endpoint) -> None:
        """Know a server and check its health, sending it no requests (`detached`).

        An enrolled server whose endpoint differs is given the new one if it is detached and holds no sessions,
        else `Refused`.
        """

    def attach(self, server: str) -> None:
        """Send requests to an enrolled server; `Refused` unless its health is `up`."""

    def detach(self, server: str) -> None:
        """Send it no new requests; it keeps those it has."""

    def dismiss(self, server: str, *, sever: bool = False) -> None:
        """Forget a server; `Refused` if it is attached, or holds sessions and `sever` is False."""

    def stop(self) -> None:
        """End the balancer and remove what it left on the disk. Idempotent."""
