"""Makes a controller's calls on virtual time: each takes effect some time after it is begun, and answers after that."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future

from bluestone.fleet.controller.act import WORKERS
from bluestone.model.action import Create, Destroy
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Server
from bluestone.simulation.life import Killed, Life
from bluestone.simulation.timeline import Timeline
from bluestone.simulation.weather import OUTLIVE, SLOWEST, Weather

Call = Callable[[], Server | None]
Answer = Future[Server | None]


class VirtualWorkers:
    """`WORKERS` calls at a time, as the threads of a controller make them; `weather` is asked at each.

    `orphans` is whether what a killed controller had begun with a provider takes effect; None leaves it to chance.
    """

    def __init__(
        self,
        timeline: Timeline,
        chance: random.Random,
        life: Life,
        weather: Callable[[], Weather],
        *,
        size: int = WORKERS,
        orphans: bool | None = None,
    ) -> None:
        self._timeline = timeline
        self._chance = chance
        self._life = life
        self._weather = weather
        self._free = size
        self._orphans = orphans
        self._waiting: deque[tuple[Answer, Call, bool]] = deque()

    def submit(self, call: Callable[..., Server | None], *arguments: object) -> Answer:
        """Begin the call as soon as fewer than `size` are under way."""
        future: Answer = Future()
        provider = isinstance(arguments[0], Create | Destroy)
        self._waiting.append((future, lambda: call(*arguments), provider))
        self._begin()
        return future

    def wait(self, calls: Collection[Answer], seconds: float) -> None:
        """Let virtual time pass until one of these has ended."""
        self._timeline.advance(seconds, until=lambda: any(call.done() for call in calls))

    def close(self) -> None:
        """Wait for what has begun; drop the rest."""
        while self._waiting:
            self._waiting.popleft()[0].cancel()

    def _begin(self) -> None:
        while self._free and self._waiting and not self._life.dead:
            future, call, provider = self._waiting.popleft()
            if self._life.superseded:
                future.set_exception(Refused("another controller leads now"))
                continue
            self._free -= 1
            self._arrange(future, call, provider=provider)

    def _arrange(self, future: Answer, call: Call, *, provider: bool) -> None:
        weather, chance = self._weather(), self._chance
        usual = 0.5 if provider else 0.005
        before, after = chance.uniform(0, usual), chance.uniform(0, usual)
        if chance.random() < weather.slow:
            before, after = chance.uniform(0, SLOWEST), chance.uniform(0, SLOWEST)
        if chance.random() < weather.twice:
            self._timeline.after(before + chance.uniform(0, after), lambda: self._echo(call))
        self._timeline.after(before, lambda: self._take_effect(future, call, after, provider=provider))

    def _take_effect(self, future: Answer, call: Call, after: float, *, provider: bool) -> None:
        if self._life.dead:
            if provider and (self._orphans if self._orphans is not None else self._chance.random() < 0.5):
                self._timeline.after(self._chance.uniform(0, OUTLIVE - SLOWEST), lambda: self._outlive(call))
            return
        problem: Problem | None = None
        server: Server | None = None
        try:
            server = call()
        except Problem as met:
            problem = met
        except Killed:
            return  # of whom nobody hears any more
        self._timeline.after(after, lambda: self._answer(future, server, problem))

    def _echo(self, call: Call) -> None:
        """The same request arrives once more. Nobody hears what becomes of it."""
        if not self._life.dead:
            self._outlive(call)

    def _outlive(self, call: Call) -> None:
        with self._life.after_death():
            try:
                call()
            except Problem:
                return

    def _answer(self, future: Answer, server: Server | None, problem: Problem | None) -> None:
        if self._life.dead:
            return
        self._free += 1
        if problem is None:
            future.set_result(server)
        else:
            future.set_exception(problem)
        self._begin()
