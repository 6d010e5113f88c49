"""What must always hold, held against what really happened.

Every effect on a provider or balancer is looked at as it takes place. What the world itself takes away (a server that
ends or fails its checks, a balancer that dies) is nobody's fault, so it is set off against the floor: from the moment
at which the controller looked until its action took effect. So is what came up again in that time. Everything else is
a `Violation`. Limits are counted here anew, from the declaration, and not asked of the planner.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bluestone.fleet.controller.journal import Journal
from bluestone.model.group import Group
from bluestone.model.server import Server
from bluestone.simulation.history import Violation
from bluestone.simulation.limits import cap_of, floor_of, surge_of
from bluestone.simulation.machines import Machines
from bluestone.simulation.timeline import START


class Checks:
    """Looks at what is done to the servers of these groups. `led_to` is the generation that each is led to."""

    def __init__(self, machines: Machines, journal: Journal, groups: Mapping[str, Group]) -> None:
        self._machines = machines
        self._journal = journal
        self._groups = groups
        self.led_to: dict[str, int] = {}
        self.blur = 0.0
        """How many seconds before its intent somebody may have looked."""
        self.gone: dict[str, Server] = {}
        """The servers that were destroyed, as they were."""

    def created(self, server: Server) -> None:
        """No name twice, none without an intent, never more than the cap, no volume on two."""
        self._intended("create", server.name)
        if server.name in self.gone:
            self._fail(f"{server.name} was created again after it had been destroyed")
        for other in self._machines.cloud.servers.values() if server.volumes else ():
            if other.name != server.name and (shared := set(server.volumes) & set(other.volumes)):
                self._fail(f"{server.name} has {min(shared)}, which is on {other.name}")
        alive = [machine.name for machine in self._machines.alive(server.group)]
        group = self._groups[server.group]
        if over := self._over(alive, group):
            cap = len(alive) - over
            self._fail(f"{len(alive)} servers of {server.group} exist, and at most {cap} may: {', '.join(alive)}")

    def _over(self, alive: list[str], group: Group) -> int:
        """How many more exist than may. Whoever was given up does not count, nor do as many that are idle as the surge.

        The journal is asked of no more servers than it takes, those that serve nobody first: fleets are large.
        """
        over, spare = len(alive) - cap_of(group), surge_of(group)
        for name in sorted(alive, key=self._serves_somebody) if over > 0 else ():
            if self._counted_out(name):
                over -= 1
            elif spare and self._is_idle(name):
                over, spare = over - 1, spare - 1
            if not over:
                break
        return max(over, 0)

    def destroyed(self, server: Server) -> None:
        """None while it serves or holds sessions, none without an intent."""
        self._intended("destroy", server.name)
        self.gone[server.name] = server
        seat = self._machines.balancer.seats.get(server.name)
        if seat is not None and not self._machines.balancer.dead:
            what = "gets requests" if seat.attached else f"is known to the balancer and holds {seat.sessions} sessions"
            self._fail(f"{server.name} was destroyed while it {what}")
        if seat is None and self._was_lost(server):
            able, floor = len(self._machines.able(server.group)), floor_of(self._groups[server.group])
            lost = self._lost(server.group, self._intended("destroy", server.name))
            if able + lost < floor:
                self._fail(f"{server.name}, which the balancer lost, was destroyed while {able} serve of {floor}")

    def detached(self, server: str, group: str, able: Collection[str], *, checked: bool = True) -> None:
        """Serving never below the floor; blue-green's old go only when all of the new serve. `able` served before,
        `checked` is whether the balancer had checked this one since it was started anew."""
        looked_at = self._intended("detach", server)
        machine = self._machines.known.get(server)
        answers = machine is not None and machine.alive and machine.answers and not self._counted_out(server)
        unseen = answers and not checked and self._machines.balancer_began < looked_at
        if (
            unseen
            and len(able) < floor_of(self._groups[group])
            and self._generation(server) < self.led_to.get(group, 0)
        ):
            self._fail(f"{server} was detached before the balancer had checked it, while {len(able)} of {group} serve")
        was_down = self._machines.up_since.get(server, 0.0) >= looked_at
        if server in able and machine is not None and not machine.alive:
            # It ended by itself, and was seen to have before the balancer's checks found out.
            self._machines.lose(group, 1)
        if server not in able or was_down or machine is None or not machine.alive:
            return
        declared = self._groups[group]
        lost = self._lost(group, looked_at)
        floor = floor_of(declared)
        if len(able) - 1 + lost < floor:
            self._fail(f"{server} was detached: {len(able) - 1} of {group} serve, and at least {floor} must")
        new = self.led_to.get(group, 0)
        is_old = self._generation(server) < new and not self._is_tainted(server)
        if declared.rollout.strategy == "blue-green" and is_old:
            ready = sum(self._generation(name) == new for name in able)
            if ready + lost < declared.count:
                self._fail(f"{server}, which is old, was detached while {ready} of the new {group} serve")

    def dismissed(self, server: str, group: str, sessions: int) -> None:
        """No session is cut before its deadline, unless its server is dead anyway."""
        self._intended("dismiss", server)
        machine = self._machines.known.get(server)
        if not sessions or machine is None or not machine.alive or self._counted_out(server):
            return
        policy = self._groups[group].rollout
        detached = self._journal.last(("server.detach",), server=server)
        served = (self._machines.timeline.clock() - detached.at) if detached else policy.drain
        if policy.long_sessions == "wait" or served < policy.drain:
            self._fail(f"{sessions} sessions of {server} were cut {served.total_seconds():.1f} s after its detach")

    def _lost(self, group: str, since: float) -> int:
        """How many servers of the group stopped serving from then on, though nobody told them to."""
        return sum(1 for at, of in self._machines.losses if of == group and at >= since)

    def _was_lost(self, server: Server) -> bool:
        """Whether it served, passes its checks, and bluestone has not detached it: the balancer does not know it."""
        machine = self._machines.known.get(server.name)
        if machine is None or not machine.alive or not machine.answers or self._counted_out(server.name):
            return False
        if server.generation in {event.data.get("generation") for event in self._journal.select(("rollout.halted",))}:
            return False
        last = self._journal.last(("server.attach", "server.detach"), server=server.name)
        return last is not None and last.kind == "server.attach"

    def _intended(self, verb: str, server: str) -> float:
        """The second of virtual time at which whoever wanted this had looked. It must be in the journal."""
        intent = self._journal.last((f"server.{verb}",), server=server)
        if intent is None:
            self._fail(f"{verb} of {server} took effect and is not in the journal")
        return (intent.at - START).total_seconds() - self.blur if intent else 0.0

    def _generation(self, server: str) -> int:
        born = self._journal.last(("server.create",), server=server)
        return int(born.data["generation"]) if born else 0

    def _is_idle(self, server: str) -> bool:
        """Whether bluestone has the server go, and it serves nobody any more: as many as the surge do not count.

        One of another generation that the balancer does not know never gets requests again.
        """
        if self._journal.last(("server.destroy",), server=server) is not None:
            return True
        old = self._generation(server) != self.led_to.get(self._machines.known[server].group, 0)
        sent_off = self._journal.last(("server.detach", "server.dismiss"), server=server) is not None
        return not self._serves_somebody(server) and (old or sent_off or self._is_tainted(server))

    def _serves_somebody(self, server: str) -> bool:
        seat = self._machines.balancer.seats.get(server)
        return seat is not None and bool(seat.attached or seat.sessions)

    def _counted_out(self, server: str) -> bool:
        """Whether bluestone has given the server up: it failed its checks for too long."""
        return self._journal.last(("server.died",), server=server) is not None

    def _is_tainted(self, server: str) -> bool:
        return self._journal.last(("server.tainted",), server=server) is not None

    def _fail(self, what: str) -> None:
        raise Violation(f"{what} (second {self._machines.timeline.seconds:.3f})")
