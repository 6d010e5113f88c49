"""The provider port: where servers live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from bluestone.model.generation import Generation
from bluestone.model.server import Server, ServerSpec
from bluestone.model.volume import Volume

if TYPE_CHECKING:
    from bluestone.model.drift import Bystander, Examination


class Provider(Protocol):
    """Creates, lists and destroys the servers of one project.

    The contract, checked by `tests/conformance/test_provider.py` on every adapter:

    - What `list_servers` returns is observed there and then; nothing is remembered or guessed. If it cannot
      observe *all* servers it raises `Problem`; it never returns a part.
    - `create` and `destroy` are idempotent by server name: repeating one, or two at once, has one effect.
    - An outcome that is not known (a time-out, a lost answer) raises `Problem`; `list_servers` then tells.
    - `create` raises `NoRoom` only where it is certain that no server was made, and that another size (or zone) may be
      had. Nothing of it is left then.
    - Only servers and volumes that bluestone made for this project are listed or touched.
    - A server holds the volumes of its slot until it is gone. `create` raises `Problem` while another server, whatever
      its phase, holds one of them: a volume is never on two. Nothing but `remove_volume` destroys one.
    - `examine` changes nothing on a server, and enters none. What it cannot see it says; it never passes for clean.

    `list_lag` is how long a list may leave out a server that exists, as those of large providers do: where it is not
    nothing, a server that is missing is taken to be there for so long. Whoever replaced it at once would have it twice.
    """

    list_lag: timedelta

    def prepare(self) -> None:
        """Make what servers need around them (networks). Idempotent. Raises `Problem`."""

    def list_servers(self) -> Sequence[Server]:
        """Every server of this project that exists, whatever its phase. Raises `Problem`."""

    def create(self, spec: ServerSpec) -> Server | None:
        """Create and start a server with the volumes of its slot, of which missing ones are made.

        Return it as it is once it is started, not when it is healthy; None where that takes a look of its own. Raises
        `Problem`.
        """

    def destroy(self, name: str, grace: timedelta) -> None:
        """Ask the server's init to stop, wait at most `grace`, then remove it and all that came with it.

        Where servers run slower than usual the provider may wait longer in proportion. A server that does not exist
        is no error. Raises `Problem`.
        """

    def list_volumes(self) -> Sequence[Volume]:
        """Every volume of this project, and the server that holds it. Raises `Problem`."""

    def ensure_volumes(self, generation: Generation, slots: Sequence[int]) -> None:
        """Have the volumes of these slots for servers of a generation; those that exist stay as they are.

        Raises `Problem` for what such a server could not have, so that it is known before its predecessor goes.
        """

    def put_away(self, name: str) -> int | None:
        """Replace a volume that no server holds by a snapshot of it, which `create` makes a volume again.

        Return the bytes that the snapshot takes; None if there was nothing to do: it is one already, is empty, or there
        is no such volume. It may take long; whatever interrupts it, the newest data is in one place. `Refused` if a
        server holds the volume, or came to while it was written. Raises `Problem`.
        """

    def remove_volume(self, name: str) -> None:
        """Destroy a volume and its data. One that does not exist is no error. `Refused` while a server holds it."""

    def console(self, name: str, lines: int) -> Sequence[str]:
        """The last lines on the server's console, for when its log lines did not arrive."""

    def examine(self, servers: Sequence[Server]) -> Sequence[Examination]:
        """What those of these servers that run are like inside, compared with their images, each looked at once.

        One that ends meanwhile is left out. Raises `Problem` if none can be looked at.
        """

    def list_bystanders(self) -> Sequence[Bystander]:
        """What is on the project's network and bears no mark of bluestone. Raises `Problem`."""

    def clear(self) -> None:
        """Remove what `prepare` made. Idempotent; raises `Problem` while servers still exist."""
