"""The fault model of whole controllers, in numbers: what goes wrong around a fleet, and how often.

Each kind has a name by which a person asks for it. All of them are bounded, and no more is promised about them:

- `slow`: a call takes up to `SLOWEST` s until its effect, and as long again until its answer.
- `lost`: a call fails; half of those have taken effect, some by half (a server that was never started, or that
  stands there stopping until it ends by itself).
- `twice`: a call takes effect twice, the second time before its answer comes.
- `stale`: a list of servers shows them as they were up to `STALEST` s ago. `partial`: it leaves some of them out, at
  most `STALEST` s long, although the port forbids it; each is shown once before it is left out again.
- `blind`: a list of servers, or of backends, cannot be had.
- `die`: a server ends by itself. `flap`: it fails its health checks for up to 5 s. `lie`: it passes them and serves
  nobody. `broken`: servers of the new image never become healthy.
- `quota`: for a while no server can be created beyond those that exist.
- `zone`: all servers of one of three zones end at once, and for a while none can be created there. They are in the zone
  that they were asked for in, or in that of their slot (modulo 3).
- `down`: the provider, or the balancer, answers nobody for a while. `crash`: the balancer ends; it is started anew
  with the servers that were attached, and health unknown. `forget`: it is started anew and knows no server at all.
- `held`: a volume stays on its server for up to `HELD` s after that is gone, and creates that want it fail; so do
  some of the others.
- `drift`: somebody logs in to a server, or changes a file of it, or a unit fails, or its clock goes wrong. Whoever
  leads looks for it now and then.
- `kill`: the controller is killed at any point of its work; creates and destroys that it had begun may still take
  effect, up to `OUTLIVE` s later; another begins some seconds afterwards.
- `two`: the controller stands still at any point, another takes over after `LEASE` s, and then the first goes on.

Durations not named are of the order of seconds. What no kind does: a call that takes effect later than `OUTLIVE` s
after its caller died, a balancer call that outlives its caller, a list that is wrong about what it does show, a
standstill between the last look at the lease and the call itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from difflib import get_close_matches

from msgspec import Struct
from msgspec.structs import replace

from bluestone.model.problem import Problem

SLOWEST = 4.0
STALEST = 4.0
HELD = 8.0
OUTLIVE = 8.0
LEASE = 2.0


class Weather(Struct, frozen=True):
    """Rates. `slow` to `held` are shares of calls, 0 to 1; `die` to `drift` are events per server and second.

    `quota` to `forget` are events per second; `kill` and `two` are events per point of the controller's work. `broken`
    is whether the new image is.
    """

    slow: float = 0.0
    lost: float = 0.0
    twice: float = 0.0
    stale: float = 0.0
    partial: float = 0.0
    blind: float = 0.0
    held: float = 0.0
    die: float = 0.0
    flap: float = 0.0
    lie: float = 0.0
    drift: float = 0.0
    broken: bool = False
    quota: float = 0.0
    zone: float = 0.0
    down: float = 0.0
    crash: float = 0.0
    forget: float = 0.0
    kill: float = 0.0
    two: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the faults that occur."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name))


CALM = Weather()

STORM = Weather(
    slow=0.2,
    lost=0.1,
    twice=0.1,
    stale=0.1,
    partial=0.03,
    blind=0.05,
    held=0.2,
    die=0.005,
    flap=0.01,
    lie=0.003,
    drift=0.003,
    quota=0.02,
    zone=0.01,
    down=0.02,
    crash=0.02,
    forget=0.005,
    kill=0.01,
    two=0.003,
)
"""Every fault, each often enough to meet the others (all but `broken`, which decides how a rollout ends)."""

KINDS = Weather.__struct_fields__


def weather(kinds: Iterable[str]) -> Weather:
    """The weather in which faults of these kinds occur as often as in `STORM`; `all` stands for all of those.

    Raises `Problem` for a kind that there is not.
    """
    found = CALM
    for kind in kinds:
        if kind == "all":
            found = replace(STORM, broken=found.broken)
        elif kind == "broken":
            found = replace(found, broken=True)
        elif kind in KINDS:
            found = replace(found, **{kind: getattr(STORM, kind)})
        else:
            near = get_close_matches(kind, [*KINDS, "all"], n=2)
            raise Problem(
                f'no kind of fault is called "{kind}"',
                mend=f"did you mean {' or '.join(near)}?" if near else f"choices: all, {', '.join(KINDS)}",
            )
    return found


def any_of(chance: random.Random) -> Weather:
    """Some of the faults of `STORM`, between a quarter and four times as often."""
    rates = {
        kind: min(0.5, getattr(STORM, kind) * 4 ** chance.uniform(-1, 1))
        for kind in KINDS
        if kind != "broken" and chance.random() < 0.5
    }
    return Weather(**rates, broken=chance.random() < 0.1)
