"""`plan` and `up`: from the declaration to servers that serve."""

from __future__ import annotations

from msgspec import Struct

from bluestone.app import wiring
from bluestone.app.fleet.goals import declared_goals
from bluestone.app.fleet.rollout import Failure, Notify, Site, Watch, tell_nobody
from bluestone.app.image.build import build_image, image_key, unlocked_key
from bluestone.app.image.disks import ensure_disk
from bluestone.app.image.lock import Progress, peek, read_lock, settled
from bluestone.app.project import Project
from bluestone.fleet.explain import prediction
from bluestone.fleet.forecast import Forecast
from bluestone.model.ids import Digest
from bluestone.model.image import Image
from bluestone.model.problem import Problem


class Intention(Struct, frozen=True):
    """What `up` would do: write a lock (`locks`), build an image (`builds`), and the way to servers of it.

    `asleep` says which groups have fewer servers than declared now, by their hours; with `leads` they would be led to
    another generation, which comes up when they open.
    """

    builds: bool
    image: Digest
    forecast: Forecast
    locks: bool = False
    asleep: tuple[str, ...] = ()
    leads: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything would be done."""
        return self.builds or self.leads or bool(self.forecast.steps)


class Arrival(Struct, frozen=True):
    """How `up`, `rollback` or `down` ended: whether anything changed, and the groups that were halted."""

    changed: bool
    failures: tuple[Failure, ...] = ()


def intend(project: Project) -> Intention:
    """What `up` would do now. Changes nothing. Raises `Problem` if the world cannot be seen."""
    lock = peek(project)
    # Without a lock it is not known what will be built; until then the declaration's own inputs name it.
    key = image_key(project, lock) if lock else unlocked_key(project)
    image = wiring.images(project).find(key)
    # An image that is not built yet is named by its inputs: that name stays while they do.
    digest = image.digest if image else Digest(f"sha256:{key.removeprefix('sha256:')}")
    site = Site(project, declared_goals(project, digest, keep=False), tell_nobody)
    forecast = site.forecast()
    asleep = tuple(site.timekeeper.asleep())
    return Intention(image is None, digest, forecast, lock is None, asleep, bool(asleep) and not site.is_led())


def check_plan(project: Project, plan_id: str) -> Intention:
    """What `up` would do, if it is still that plan. Raises `Problem` if it is not."""
    intention = intend(project)
    now = intention.forecast.id
    if now != plan_id:
        raise Problem(
            f"the world has moved since plan {plan_id} was made: the plan is {now} now",
            mend="look at it with `bluestone plan`, then run `bluestone up` with its id",
            left="nothing was done",
        )
    return intention


def build(project: Project, progress: Progress, *, exact: bool = False) -> Image:
    """The declared image, built and locked if it is not yet. Any number of these may run at once.

    With `exact` a lock that is missing, or differs from the declaration, is refused. Raises `Problem`.
    """
    wiring.require_tools(project, building=read_lock(project) is None)
    lock = settled(project, progress, exact=exact)
    built = wiring.images(project).find(image_key(project, lock))
    wiring.require_tools(project, building=built is None)
    image = build_image(project, lock, progress)
    ensure_disk(project, image, progress)
    return image


def up(
    project: Project, plan_id: str | None, *, exact: bool = False, notify: Notify, watch: Watch, progress: Progress
) -> Arrival:
    """Build the image if needed and lead all groups to what is declared. Whoever calls it leads the project alone.

    With `plan_id`, only if `intend` still comes to that plan; otherwise `Problem`, with nothing done. `exact` is as
    for `build`.
    """
    if plan_id is not None:
        check_plan(project, plan_id)
    image = build(project, progress, exact=exact)
    site = Site(project, declared_goals(project, image.digest, keep=True), notify)
    site.prepare()
    forecast = site.survey()
    for text in site.timekeeper.asleep():
        progress(text)
    if not forecast.steps and not forecast.halted and site.is_led():
        if site.declare():
            progress("noted how servers are replaced from now on; none has to be for that")
        return Arrival(changed=False)
    progress(f"plan {forecast.id}: {prediction(forecast)}")
    return Arrival(changed=True, failures=tuple(site.lead(watch, forecast.id)))
