"""Figures about the daemon and its servers, for Prometheus.

Counters count since the daemon began; gauges show the newest look.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bluestone import __version__
from bluestone.fleet.controller.controller import Tick
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.standing import Stance, view
from bluestone.model.plan import State
from bluestone.patch.board import EXIT
from bluestone.patch.history import Look
from bluestone.patch.policy import Standing

TICK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

ENDINGS = {"action.failed": "failed", "action.refused": "refused", "action.lost": "lost"}


class Metrics:
    """What a daemon counts, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        Info("bluestone", "The daemon.", registry=registry).info({"version": __version__})
        ProcessCollector(registry=registry)
        registry.register(_Fleet(self))
        registry.register(_Exposures(self))
        self.epoch: Callable[[], float] = lambda: 0.0
        Gauge(
            "bluestone_lease_epoch", "The epoch of the daemon's lease; 0 while another leads.", registry=registry
        ).set_function(lambda: self.epoch())
        self.look: Callable[[], Look | None] = lambda: None
        """The newest look at what servers are exposed to, by whomever it was taken."""
        self.latest: Tick | None = None
        """The newest look; what it showed is counted when somebody asks."""
        self._last_tick = Gauge(
            "bluestone_last_tick_timestamp_seconds", "When the daemon last looked at the world.", registry=registry
        )
        self._seconds = Histogram(
            "bluestone_tick_seconds", "How long a look and what follows took.", buckets=TICK_SECONDS, registry=registry
        )
        self._wakes = Counter("bluestone_wakes", "What had the daemon look at once.", ["source"], registry=registry)
        self._actions = Counter("bluestone_actions", "Actions that ended.", ["verb", "outcome"], registry=registry)
        self._rollouts = Counter("bluestone_rollouts", "What rollouts came to.", ["group", "event"], registry=registry)
        self._deaths = Counter("bluestone_server_deaths", "Servers found dead.", ["group"], registry=registry)
        self._troubles = Counter("bluestone_troubles", "What kept the daemon from its work.", registry=registry)
        self._notices = Counter(
            "bluestone_notices", "Attempts to tell a person of an event.", ["to", "outcome"], registry=registry
        )
        self._unsent = Gauge(
            "bluestone_notices_unsent", "Events that a person was not told of yet.", ["to"], registry=registry
        )

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self._registry)

    def saw(self, tick: Tick | None) -> None:
        """The daemon has looked at the world; None if there is nothing to look at."""
        self.latest = tick
        self._last_tick.set_to_current_time()
        if tick is not None:
            self._seconds.observe(tick.took)

    def woken(self, source: str) -> None:
        """Something had the daemon look at once."""
        self._wakes.labels(source).inc()

    def troubled(self) -> None:
        """Something kept the daemon from its work."""
        self._troubles.inc()

    def recorded(self, entry: Entry) -> None:
        """An entry of the journal."""
        what, _, event = entry.kind.partition(".")
        verb = str(entry.data.get("verb", ""))
        if verb:
            self._actions.labels(verb, ENDINGS.get(entry.kind, "done")).inc()
        elif what == "rollout":
            returned = event == "started" and "failed" in entry.data
            self._rollouts.labels(entry.group, "returned" if returned else event).inc()
        elif entry.kind == "server.died":
            self._deaths.labels(entry.group).inc()

    def notified(self, to: str, outcome: str, unsent: int) -> None:
        """An attempt to tell somebody of an event, and how many events are left to tell."""
        self._notices.labels(to, outcome).inc()
        self._unsent.labels(to).set(unsent)


class _Fleet(Collector):
    """Groups and servers as the newest look showed them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        tick = self._metrics.latest
        servers = GaugeMetricFamily("bluestone_servers", "Servers by where they stand.", labels=["group", "stance"])
        wanted = GaugeMetricFamily("bluestone_servers_wanted", "Servers that a group shall have.", labels=["group"])
        states = GaugeMetricFamily("bluestone_group_state", "1 for the state of a group.", labels=["group", "state"])
        whole = GaugeMetricFamily("bluestone_view_complete", "Whether everything could be seen.")
        if tick is not None:
            whole.add_metric([], float(tick.inventory.complete))
            if tick.inventory.complete:
                _count(tick, servers)
            for goal in tick.goals:
                wanted.add_metric([goal.group.name], goal.group.count)
            for progress in tick.plan.progress:
                for state in get_args(State):
                    states.add_metric([progress.group, state], float(progress.state == state))
        yield from (servers, wanted, states, whole)


class _Exposures(Collector):
    """What the servers are exposed to, as it was last looked at."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; none of a project that nobody looked at."""
        look = self._metrics.look()
        if look is None:
            return
        counts = GaugeMetricFamily(
            "bluestone_exposures", "Versions of packages that servers are exposed by.", labels=["standing"]
        )
        for standing in get_args(Standing):
            counts.add_metric([standing], look.of(standing))
        outcomes = GaugeMetricFamily("bluestone_exposures_outcome", "1 for what it comes to.", labels=["outcome"])
        for outcome in EXIT:
            outcomes.add_metric([outcome], float(look.outcome == outcome))
        sound = GaugeMetricFamily("bluestone_feed_sound", "Whether a feed can be relied on.", labels=["feed"])
        for feed, complete in look.feeds.items():
            sound.add_metric([feed], float(complete))
        servers = GaugeMetricFamily("bluestone_exposed_servers", "Servers that run something that is affected.")
        servers.add_metric([], look.servers)
        at = GaugeMetricFamily("bluestone_exposures_timestamp_seconds", "When that was looked at.")
        at.add_metric([], look.at.timestamp())
        yield from (counts, outcomes, sound, servers, at)
        if look.oldest:
            oldest = GaugeMetricFamily(
                "bluestone_oldest_fix_timestamp_seconds", "Since when the oldest fix is there that servers lack."
            )
            oldest.add_metric([], look.oldest.timestamp())
            yield oldest


def _count(tick: Tick, servers: GaugeMetricFamily) -> None:
    for goal in tick.goals:
        tally = Tally(member.stance for member in view(goal, tick.inventory, tick.memory).members)
        for stance in get_args(Stance):
            servers.add_metric([goal.group.name, stance], tally[stance])
