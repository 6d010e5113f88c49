"""The daemon's one line of work: it keeps the fleet at what was last rolled out, and does what it is asked, in turn.

Between commands it ticks: fast while something is under way, else on a schedule and whenever something wakes it. A
command interrupts that at the next look; what was begun is awaited first, so that nothing is done twice at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

from bluestone.app.fleet import back
from bluestone.app.fleet import up as forward
from bluestone.app.fleet.heal import anything_left, is_empty, recorded_goals
from bluestone.app.fleet.lead import lease
from bluestone.app.fleet.rollout import Site, utc_now
from bluestone.app.fleet.up import Arrival
from bluestone.app.patch import looks
from bluestone.app.patch import patch as patching
from bluestone.app.project import Caller, Project
from bluestone.daemon.job import Interrupted, Job
from bluestone.daemon.log import Log
from bluestone.daemon.messages import Ended, Failed, Granted, Recorded, Said, Stands
from bluestone.daemon.metrics import Metrics
from bluestone.fleet.controller.controller import BLIND_LIMIT, Tick
from bluestone.fleet.controller.fence import Fence, inheriting
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.lease import Lease, declared_elsewhere
from bluestone.fleet.controller.lock import introduce
from bluestone.model.inventory import Inventory
from bluestone.model.plan import Progress
from bluestone.model.problem import Problem, Problems

LONGEST_STAND_BY = 600.0
"""Seconds for which somebody may have the daemon do nothing."""

SEE_WHO = "go on where that runs: `bluestone state show` names it; or fence it off with --take-over"

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two attempts while something keeps the daemon from its work; each is twice the one before."""

LEASE_CHECK = 0.5
"""Seconds between two looks whether another controller leads, or a request came, while there is nothing else to do."""

BLIND_PAUSE = 1.0
"""Seconds between two looks while not everything can be seen."""

Told = Callable[[Entry], None]


class Leader:
    """Leads one project until it is told to stop. `run` is its thread; all else may be called from others.

    `every` is the longest time between two looks, `told` hears of every journal entry.
    """

    def __init__(self, project: Project, every: timedelta, log: Log, metrics: Metrics, told: Told) -> None:
        self.project = project
        self._every = every.total_seconds()
        self._log = log
        self._metrics = metrics
        self._told = told
        self._changed = threading.Condition()
        self._awake = False
        self._stopping = False
        self._enough = threading.Event()
        self._takes_over = False
        self._lease_had: Lease | None = None
        """The one that it leads by, or led by last."""
        self._works: Job | None = None
        self._next: Job | None = None
        self._variables: dict[str, str] = {}
        metrics.epoch = lambda: float(self.epoch)
        metrics.look = lambda: looks.last(project.state)
        self.beat = utc_now()
        """When it last got somewhere: what tells a daemon that works from one that hangs."""
        self.last_tick: datetime | None = None
        self.trouble = ""
        self._not_received = ""
        self._blind_since: datetime | None = None
        self._told_blind: bool | None = None
        self.began = threading.Event()
        """Set once it has looked, or tried to, for the first time."""

    def submit(self, job: Job) -> None:
        """Take a command on. Raises `Problem`, naming the one that is being worked on if somebody waits for that."""
        with self._changed:
            if self._stopping:
                raise Problem("the daemon is ending", mend="run this again when it has ended, or was started anew")
            for other in (self._works, self._next):
                if other is not None and not other.left:
                    raise Problem(
                        f"another command is being worked on: {other}",
                        mend="wait until it has ended, or have whoever waits for it press Ctrl-C: then yours is taken",
                        left="nothing was done",
                    )
            if not self.epoch and not job.ask.take_over:
                raise Problem(
                    "this daemon stands by, as another controller leads the fleet",
                    mend=SEE_WHO,
                    left="nothing was done",
                )
            lease = self._lease_had
            if self.epoch and lease and self._is_heir(lease) and job.ask.verb != "stand-by":
                if not job.ask.take_over:
                    raise declared_elsewhere(lease)
                self._takes_over = True
            else:
                self._takes_over = not self.epoch
            self._next = job
            self._enough.set()
            self._changed.notify_all()

    def _is_heir(self, lease: Lease) -> bool:
        """Whether what is declared on another machine holds while this one leads."""
        return lease.holder.declared_on != self.project.home.host

    def wake(self, why: str) -> None:
        """Look at once."""
        with self._changed:
            self._metrics.woken(why)
            self._awake = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Begin nothing more, and return from `run` once what has begun has ended."""
        with self._changed:
            self._stopping = True
            self._enough.set()
            self._changed.notify_all()

    @property
    def works_on(self) -> str:
        """The command that it works on; empty if none."""
        job = self._works
        return str(job) if job else ""

    def run(self) -> None:
        """Lead until `stop`; while another controller leads the fleet, stand by for it."""
        while not self._stopping:
            try:
                with self._lease() as lease:
                    self._lease_had = lease
                    if lease is not None:
                        self._log.say("info", "lease.taken", f"this daemon leads, at epoch {lease.epoch}")
                        self._lead()
            except (Problem, Problems, OSError) as error:
                self._in_trouble(error)
                self._sleep(FIRST_PAUSE)

    def _lease(self) -> AbstractContextManager[Lease | None]:
        """The right to lead. It only goes on with what the journal says, so it may follow upon any leader that ends."""
        journal, me = self.project.journal, introduce(self.project.home.host)
        self._enough.clear()
        if self._stopping:
            self._enough.set()
        # Where only this machine has the journal, this daemon has the machine's lock: nobody else can lead.
        if self._takes_over or self.project.declaration.store is None:
            take_over, self._takes_over = self._takes_over, False
            return lease(self.project, take_over=take_over)
        self._log.say("info", "lease.awaited", "this daemon stands by until no other leads the fleet")
        if job := self._take():
            self._works = None
            job.tell(Failed.of(Problem("another controller leads the fleet by now", mend=SEE_WHO)))
        self.trouble = ""
        self._metrics.saw(None)
        self.began.set()
        return inheriting(journal, me, self._enough)

    def _lead(self) -> None:
        """Work until it is to end, another controller leads, or what is declared here is to hold from now on."""
        pause = FIRST_PAUSE
        while not (self._stopping or self._fence.lost or self._takes_over):
            try:
                if job := self._take():
                    self._work(job)
                else:
                    self._keep()
                pause = FIRST_PAUSE
            except Interrupted:
                continue
            except (Problem, Problems, OSError) as error:
                self._in_trouble(error)
                self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    @property
    def _fence(self) -> Fence:
        return self.project.journal.fence

    @property
    def epoch(self) -> int:
        """The epoch of its lease; 0 while another controller leads."""
        led = self._lease_had.epoch if self._lease_had else 0
        return led if led == self._fence.epoch and not self._fence.lost else 0

    # -- commands --------------------------------------------------------------------------------------------------

    def _take(self) -> Job | None:
        with self._changed:
            self._works, self._next = self._next, None
            return self._works

    def _work(self, job: Job) -> None:
        """Carry out a command, and tell whoever waits how it ended."""
        self._log.say("info", "command.began", str(job), verb=job.ask.verb, by=job.ask.by)
        try:
            arrival = self._carry_out(job)
        except Interrupted:
            self._log.say("info", "command.left", f"{job}: nobody waits for it; what it began goes on")
            ending = "the daemon is ending" if self._stopping else "another command was given"
            job.tell(Failed.of(Problem(ending, mend="what was begun is gone on with: `bluestone status` shows it")))
        except (Problem, Problems) as error:
            self._log.say("error", "command.failed", str(error), verb=job.ask.verb, by=job.ask.by)
            job.tell(Failed.of(error))
        except BaseException as error:
            job.tell(Failed.of(Problem(f"the daemon made a mistake: {error!r}", mend="report it, with its log")))
            raise
        else:
            self._log.say("info", "command.ended", str(job), verb=job.ask.verb, by=job.ask.by)
            job.tell(Ended(arrival))
        finally:
            with self._changed:
                self._works = None

    def _carry_out(self, job: Job) -> Arrival:
        ask = job.ask
        if job.left:
            raise Interrupted
        if ask.verb == "stand-by":
            return self._stand_by(job)
        project = self._asked_for(job)
        told: tuple[Progress, ...] = ()

        def notify(at: datetime, entry: Entry) -> None:
            self._recorded(entry)
            job.tell(Recorded.of(at, entry))

        def watch(tick: Tick) -> None:
            nonlocal told
            self._saw(tick)
            if tick.plan.progress != told:
                told = tick.plan.progress
                job.tell(Stands(told))
            if lost := self._fence.lost:
                raise lost
            if self._stopping or job.left:
                raise Interrupted

        def progress(text: str) -> None:
            self.beat = utc_now()
            job.tell(Said(text))
            if self._stopping or job.left:
                raise Interrupted

        match ask.verb:
            case "up":
                up = forward.up(project, ask.plan_id, exact=ask.exact, notify=notify, watch=watch, progress=progress)
                self.project = self.project.renewed(declaration=project.declaration)
                return up
            case "patch":
                return patching.carry_out(project, notify=notify, watch=watch, progress=progress)
            case "rollback":
                return back.rollback(project, ask.groups, notify=notify, watch=watch)
            case "down":
                return back.down(project, notify=notify, watch=watch)

    def _asked_for(self, job: Job) -> Project:
        """The declaration that a command is about, with whoever gave it. Raises `Problem`."""
        asked = Project.open(Path(job.ask.file))
        if asked.name != self.project.name:
            raise Problem(f"this daemon leads {self.project.name}, not {asked.name}", mend="ask that project's daemon")
        self._variables |= job.ask.variables
        caller = Caller(job.ask.by, {**os.environ, **self._variables})
        return self.project.renewed(declaration=asked.declaration, file=asked.file, caller=caller)

    def _stand_by(self, job: Job) -> Arrival:
        job.tell(Granted())
        end = time.monotonic() + LONGEST_STAND_BY
        while not job.wait_until_left(0.2) and not self._stopping and time.monotonic() < end:
            self.beat = utc_now()
        return Arrival(changed=False)

    # -- between commands ------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Keep the fleet at what was last rolled out, until a command comes or the daemon ends."""
        project = self.project.renewed(caller=Caller("bluestone", {**os.environ, **self._variables}))
        goals = recorded_goals(project)
        site = Site(project, goals, lambda _, entry: self._recorded(entry))
        if is_empty(goals) and not (goals and anything_left(site)):
            self._look_at_nothing()
            return
        if not is_empty(goals):
            self._receive(site)
            site.make_room()  # The balancer is begun by each look that finds it dead.
        with site.controller.at_work():
            site.resolve()
            for tick in self._ticks(site):
                self._tell_of_sight(site, tick.inventory)
                if tick.busy:
                    continue
                site.conclude(tick.plan)
                if is_empty(goals):
                    site.tear_down()
                    return

    def _ticks(self, site: Site) -> Iterator[Tick]:
        """Looks at the world, each when it is due, until something else is to be done."""
        while not self._called_away():
            site.taint_aged()
            site.keep_hours()
            site.controller.tick()
            site.put_away()
            tick = site.controller.latest
            assert tick is not None
            self._saw(tick)
            yield tick
            if tick.inventory.gaps:
                self._sleep(BLIND_PAUSE)
            elif tick.busy or site.controller.under_way:
                site.controller.rest()
            else:
                self._sleep(min(self._every, site.due_in()), site.doorbell.rings)
                # Whatever woke it, or happened meanwhile, a list from before does not show.
                site.controller.forget()
                self._receive(site)

    def _receive(self, site: Site) -> None:
        """Have log lines received. Servers keep theirs meanwhile, so that is no reason to leave them alone."""
        self._not_received = ""
        try:
            site.receiver.ensure()
        except Problem as problem:
            self._not_received = problem.what
            self._metrics.troubled()
            self._log.say("error", "trouble", str(problem))

    def _saw(self, tick: Tick) -> None:
        """What a look has shown, for those who ask."""
        self.beat = self.last_tick = utc_now()
        self._metrics.saw(tick)
        self.trouble = f"cannot see: {'; '.join(tick.inventory.gaps)}" if tick.inventory.gaps else self._not_received
        self.began.set()

    def _tell_of_sight(self, site: Site, inventory: Inventory) -> None:
        """Record, once, that not everything could be seen for long; and that it can be again."""
        if self._told_blind is None:
            last = site.project.journal.last(("fleet.unseen", "fleet.seen"))
            self._told_blind = last is not None and last.kind == "fleet.unseen"
        if inventory.complete:
            self._blind_since = None
            if self._told_blind:
                site.record([Entry("fleet.seen", message="everything can be seen again")])
                self._told_blind = False
            return
        self._blind_since = self._blind_since or inventory.at
        if not self._told_blind and inventory.at - self._blind_since > BLIND_LIMIT:
            text = f"for {BLIND_LIMIT.total_seconds():g} s it cannot be seen how things stand, so nothing is done"
            site.record([Entry("fleet.unseen", message=f"{text}: {'; '.join(inventory.gaps)}")])
            self._told_blind = True

    def _look_at_nothing(self) -> None:
        """There is nothing to lead: wait for a command."""
        self.beat = self.last_tick = utc_now()
        self.trouble = ""
        self._metrics.saw(None)
        self.began.set()
        self._sleep(self._every)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _called_away(self) -> bool:
        return self._stopping or self._next is not None or self._fence.lost is not None

    def _sleep(self, seconds: float, called: Callable[[], bool] = lambda: False) -> None:
        """Sleep until it is over, or something is to be done, or it is called in a way that nobody tells of."""
        end = time.monotonic() + seconds
        while True:
            with self._changed:
                left = end - time.monotonic()
                if not (self._awake or self._called_away() or left <= 0):
                    # In slices: nobody calls when the lease is lost.
                    self._changed.wait(min(left, LEASE_CHECK))
                if self._awake or self._called_away() or end <= time.monotonic():
                    self._awake = False
                    return
            if called():
                return

    def _recorded(self, entry: Entry) -> None:
        self._log.entry(entry)
        self._metrics.recorded(entry)
        self._told(entry)

    def _in_trouble(self, error: Exception) -> None:
        self.trouble = getattr(error, "what", "") or str(error)
        self.beat = utc_now()
        self._metrics.troubled()
        self._log.say("error", "trouble", str(error))
        self.began.set()
