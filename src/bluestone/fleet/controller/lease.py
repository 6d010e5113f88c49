"""Who may act on a fleet: one holder at a time, by a lease that ends unless it is renewed. Pure.

Each holder gets a higher *epoch* than all before. A journal takes no entry of a holder whose epoch is not the newest,
so one that was stopped, and goes on after another took over, changes nothing in it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from bluestone.model.problem import Problem

LENGTH = timedelta(seconds=1.5)
"""How long a lease runs after it was renewed. Whoever waits for it has it that long after its holder stopped."""


class Holder(Struct, frozen=True):
    """Somebody who leads, or wants to. `host` is a machine's own number, `machine` its name; `token` is this holder's
    alone, so that it knows itself again when an answer was lost. `heir_of` is the host whose declaration it goes on
    with, if it brought none of its own."""

    token: str
    host: str
    machine: str
    pid: int
    user: str
    command: str
    since: datetime
    heir_of: str = ""

    @property
    def declared_on(self) -> str:
        """The host whose declaration holds while this one leads."""
        return self.heir_of or self.host

    def __str__(self) -> str:
        return f"process {self.pid} (`{self.command}`) of {self.user} on {self.machine}, since {self.since.isoformat()}"


class Lease(Struct, frozen=True):
    """Who leads or led last, and for how many more seconds: none are `left` if it ended, and was `returned` or not.

    `former` is for how many seconds whoever it was taken from may still believe that they lead.
    """

    epoch: int
    holder: Holder
    left: float
    returned: bool = False
    former: float = 0.0


class Led(Problem):
    """Somebody else leads, or did so last from another machine. `lease` is theirs."""

    def __init__(self, what: str, lease: Lease, *, mend: str) -> None:
        super().__init__(what, mend=mend, left="nothing was done")
        self.lease = lease


class Fenced(Problem):
    """Another controller leads since: what this one wanted to write was not written."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(
            f"another controller leads now: {lease.holder}",
            mend="see what it does with `bluestone events`; to lead from here again: --take-over",
            left="what had begun before may still take effect; nothing else was done",
        )


def refusal(lease: Lease | None, holder: Holder, *, take_over: bool, heir: bool) -> Led | None:
    """Why a holder may not have the lease now; None if it may.

    `take_over` is a person's word. An `heir` only goes on with what stands in the journal, so it may follow upon a
    leader on another machine; whoever brings a declaration of their own may not, lest two take turns for ever.
    """
    if lease is None or take_over or lease.holder.token == holder.token:
        return None
    if lease.left > 0:
        mend = "wait until it has ended, end it, or fence it off with --take-over"
        return Led(f"another controller leads this fleet: {lease.holder}", lease, mend=mend)
    if lease.holder.declared_on != holder.host and not heir:
        return declared_elsewhere(lease)
    return None


def declared_elsewhere(lease: Lease) -> Led:
    """What is said to whoever brings a declaration where another host's holds."""
    mend = "go on there; or, if what is declared here is to hold from now on, say --take-over, once"
    if lease.holder.heir_of:
        what = f"this fleet is led by what is declared on another machine, with which it went on: {lease.holder}"
    else:
        what = f"this fleet was last led from another machine: {lease.holder}"
    return Led(what, lease, mend=mend)


def as_heir(lease: Lease | None, holder: Holder) -> Holder:
    """The holder as one that goes on with what holds already: with the declaration of the host that it follows on."""
    return replace(holder, heir_of=lease.holder.declared_on) if lease else holder


def takeover(lease: Lease | None, holder: Holder) -> str:
    """What is worth writing down when a holder gets the lease; nothing if it was merely handed on in one place."""
    if lease is None or lease.holder.token == holder.token:
        return ""
    if not lease.returned:
        return f"{holder} leads; {lease.holder} did not give the lease back"
    if lease.holder.host != holder.host:
        return f"{holder} leads; before it {lease.holder} did"
    return ""
