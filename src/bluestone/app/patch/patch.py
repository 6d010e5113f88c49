"""`patch`: from what running servers are exposed to, to servers that are not, and the proof of it.

Two halves: `prepare` changes nothing that serves, and anybody may do it beside a daemon: what is exposed, a new lock
with what the fixes need, the image, and what else differs in it. `carry_out` is for whoever leads the project: it rolls
the image out, and closes the patch once no server is exposed. What the first came to is in the journal, so that the
second, or either once more after a crash, goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone import __version__
from bluestone.app import wiring
from bluestone.app.fleet.goals import fallback, served_before
from bluestone.app.fleet.heal import recorded_goals
from bluestone.app.fleet.rollout import Failure, Notify, Site, Watch, utc_now
from bluestone.app.fleet.up import Arrival
from bluestone.app.image.build import build_image
from bluestone.app.image.diff import between
from bluestone.app.image.disks import ensure_disk
from bluestone.app.image.gc import retire
from bluestone.app.image.lock import Progress, lock, read_lock
from bluestone.app.patch import feeds
from bluestone.app.patch.bumps import Raised, raise_pins
from bluestone.app.patch.closing import prove, still_exposed
from bluestone.app.patch.outlook import BEGAN, CLOSED, REOPENED, STOPPED, Outlook, Patch, look, open_patch
from bluestone.app.patch.rehearsal import REHEARSED, rehearse
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.fleet.controller.lock import hold
from bluestone.fleet.explain import prediction
from bluestone.image.lock import stored
from bluestone.image.lock.diff import LockDiff, diff
from bluestone.image.lock.file import digest as lock_digest
from bluestone.image.lock.pins import KEEP, Upgrade
from bluestone.image.store import LOCK
from bluestone.image.surprises import surprises
from bluestone.model.bom import Component
from bluestone.model.ids import Digest, short
from bluestone.model.image import Image
from bluestone.model.lock import Lock
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem
from bluestone.patch.loop import Fix, reached
from bluestone.patch.sources import origins


class PatchPlan(Struct, frozen=True):
    """What `patch` would do: `outlook`, and how the lock would change. `lost` are fixes that the archives lack."""

    outlook: Outlook
    changes: LockDiff
    lost: tuple[Fix, ...]


def intend(project: Project, target: str | None, progress: Progress) -> PatchPlan:
    """What `patch` would do now. Changes nothing. Raises `Problem`."""
    found = look(project, target, progress)
    old = read_lock(project)
    if not found.servers or old is None:
        return PatchPlan(found, LockDiff(), ())
    with feeds.lists(project, found.assessment.at) as lists:
        outcome = lock(project, _moves(old, found.fixes), progress, check=True, lists=lists)
    return PatchPlan(found, outcome.changes, _lacking(found.fixes, outcome.new))


def prepare(
    project: Project, target: str | None, *, by_hand: bool = True, notify: Notify, progress: Progress
) -> Outlook:
    """Have all that a rollout of the fixes needs, and say in the journal what it is. See `look` for what comes back.

    Where something in the new image differs beyond what the fixes explain, the patch is stopped: `Problem`.
    """
    with hold(project.state / "patching"):
        found = look(project, target, progress, by_hand=by_hand)
        if found.phase == "prepare" and not by_hand and (why := _held_back(project, found.fixes)):
            return replace(found, phase="wait", why=why)
        if found.phase != "prepare":
            if by_hand and found.phase == "rest":
                raise_pins(project, found.bumps)  # Of what is made elsewhere: whoever makes it needs them.
            return found
        old = read_lock(project)
        if old is None:
            raise Problem(f"there is no {project.lock.name}", mend="run `bluestone up`: it locks, and rolls out")
        raised = raise_pins(project, found.bumps)
        try:
            new = _relocked(project, old, found, progress)
            lost = _lacking(found.fixes, new)
            if len(lost) == len(found.fixes):
                raised.undo()
                return _without(found, lost, by_hand=by_hand)
            patch = _begin(project, target, found, tuple(fix for fix in found.fixes if fix not in lost), notify)
            _prepare(project, patch, old, new, raised, notify, progress)
        except BaseException:
            raised.undo()
            raise
        return replace(found, phase="roll out", begun=open_patch(project))


def carry_out(project: Project, *, notify: Notify, watch: Watch, progress: Progress) -> Arrival:
    """Roll out what was prepared, and close the patch. Whoever calls it leads the project alone.

    Raises `Problem` where nothing was prepared, and where servers stay exposed that nothing is known against.
    """
    patch = open_patch(project)
    if patch is None:
        raise Problem("no patch is under way", mend="see what servers are exposed to: bluestone patch --plan")
    changed = False
    asked = still_exposed(project, patch.groups, patch.before, patch.fixes)
    if asked.servers or asked.led:
        if patch.image is None:
            raise Problem("the patch that was begun has no image yet", mend="bluestone patch")
        arrival = _roll_out(project, patch, patch.image, notify, watch, progress)
        if arrival.failures:
            why = "; ".join(f"{failure.group}: {failure.reason}" for failure in arrival.failures)
            _record(project, notify, Entry(STOPPED, message=f"it failed: {why}", data={"patch": patch.id}))
            return arrival
        changed = arrival.changed
    _close(project, patch, notify, progress)
    return Arrival(changed)


def reopen(project: Project, goals: Iterable[Goal], notify: Notify) -> None:
    """Say that a patch is open again whose exposed images servers were led back to: its deadlines count on."""
    images = {goal.generation.image for goal in goals if goal.group.count}
    # The newest first; a later one may have been begun, and stopped, since.
    for last in project.journal.select((CLOSED,)):
        if back := sorted(images & set(last.data["before"])):
            names = ", ".join(short(image) for image in back)
            text = f"servers are led back to {names}, which patch {last.data['patch']} had replaced: its clock runs on"
            _record(project, notify, Entry(REOPENED, message=text, data={"patch": last.data["patch"]}))
            return


def _held_back(project: Project, wanted: tuple[Fix, ...]) -> str:
    """Why nobody but a person goes on with these fixes, if that is so: a patch of them was stopped, and would only be
    stopped again; or a person led servers back from one."""
    last = project.journal.last((BEGAN, STOPPED, CLOSED, REOPENED))
    if last is None or last.kind not in (STOPPED, REOPENED):
        return ""
    if last.kind == REOPENED:
        return f"{last.message}; `bluestone patch` leads them forward again"
    began = project.journal.last((BEGAN,))
    same = began and {fix.key for fix in msgspec.convert(began.data, Patch).fixes} == {fix.key for fix in wanted}
    return f"this was stopped before: {last.message}; `bluestone patch` tries it again" if same else ""


def _without(found: Outlook, lost: tuple[Fix, ...], *, by_hand: bool) -> Outlook:
    """That there is nothing to roll out, as the archives lack all fixes. Raises `Problem` for a person."""
    why = f"the archives lack {_named(lost)}"
    if by_hand:
        raise Problem(why, mend="wait until the mirror has it, or name another in image.base", left="nothing was done")
    return replace(found, phase="wait", why=why)


def _relocked(project: Project, old: Lock, found: Outlook, progress: Progress) -> Lock:
    """The lock with the fixes, not written yet, by what the archives said when the fixes were found. Where it has all
    of them, as after a crash, they do not matter."""
    move = _moves(old, found.fixes) if _lacking(found.fixes, old) else KEEP
    with feeds.lists(project, found.assessment.at) as lists:
        return lock(project, move, progress, check=True, lists=lists).new


def _begin(project: Project, target: str | None, found: Outlook, wanted: tuple[Fix, ...], notify: Notify) -> Patch:
    """The patch that was begun, if it is for the same, or a new one; the journal has it."""
    before = tuple(sorted({image for fix in wanted for image in fix.images}))
    old = found.begun
    if old and (old.fixes, old.groups, old.before) == (wanted, found.groups, before):
        return old
    at = found.assessment.at
    patch = Patch(
        id=old.id if old else f"p{at:%Y%m%d-%H%M%S}",
        verdict=old.verdict if old else at,
        by=project.caller.name,
        groups=found.groups,
        advisory=target if target and target not in found.groups else None,
        fixes=wanted,
        feeds=found.assessment.feeds,
        before=tuple(sorted({*before, *(old.before if old else ())})),
    )
    text = f"{_named(patch.fixes)}, on {len(found.servers)} servers of {', '.join(patch.groups)}"
    data = msgspec.to_builtins(patch, builtin_types=())
    _record(project, notify, Entry(BEGAN, message=text, data=data))
    return patch


def _prepare(
    project: Project, patch: Patch, old: Lock, new: Lock, raised: Raised, notify: Notify, progress: Progress
) -> None:
    """Build the image of the new lock, compare it, and write the lock. Raises `Problem` where it is stopped."""
    changes = diff(old, new, _newer())
    names = ", ".join(f"{each.name} {each.new}" for each in changes.packages[:5])
    _note(project, notify, patch, "patch.locked", names or "the lock has it", lock=lock_digest(new))
    try:
        wiring.require_tools(project, building=True)
        image = build_image(project, new, progress)
        ensure_disk(project, image, progress)
        _note(project, notify, patch, "patch.built", f"image {short(image.digest)}", image=image.digest)
        _refuse_surprises(project, patch, image, old, new, raised)
    except Problem as problem:
        _record(project, notify, Entry(STOPPED, message=problem.what, data={"patch": patch.id}))
        raise
    if new != old:
        stored.write(project.lock, new)
    text = "nothing differs but what the fixes explain"
    _note(project, notify, patch, "patch.compared", text, image=image.digest)


def _refuse_surprises(project: Project, patch: Patch, image: Image, old: Lock, new: Lock, raised: Raised) -> None:
    """Raise `Problem` where the new image differs from those that are exposed in more than the fixes explain."""
    odd = [f"{project.lock.name}: {each}" for each in _undone(project, patch, old)]
    odd += [f"the declaration asks for another {each} than is locked" for each in _asked(diff(old, new, _newer()))]
    odd += _compare(project, patch, image, new, raised)
    if odd:
        more = f"; and {len(odd) - 8} more" if len(odd) > 8 else ""
        raise Problem(
            f"the patched image differs in more than the fixes explain: {'; '.join(odd[:8])}{more}",
            mend=f"see all of it: bluestone diff {short(patch.before[0])} {short(image.digest)}; what you changed "
            "yourself, roll out with `bluestone up` first",
            left="the lock is as it was, and so are the servers",
        )


def _asked(changes: LockDiff) -> list[str]:
    """What of the declaration decides packages, and was changed and not locked."""
    return [*(f"package: {name}" for name in changes.asked), *(["base"] if changes.base else [])]


def _undone(project: Project, patch: Patch, old: Lock) -> list[str]:
    """Changes of the lock that were not rolled out, other than those of patches."""
    ours = {event.data.get("lock") for event in project.journal.select(("patch.locked",))}
    if lock_digest(old) in ours:
        return []
    found = dict[str, None]()
    for image in patch.before:
        then = _lock_of(project, image)
        if then is not None:
            changes = diff(then, old, _newer()).packages
            found |= {f"{each.name} was {each.kind}, and not rolled out": None for each in changes}
    return list(found)


def _compare(project: Project, patch: Patch, image: Image, new: Lock, raised: Raised) -> list[str]:
    """What differs from the images that are exposed, and is not explained."""
    store, found = wiring.images(project), dict[str, None]()
    for digest in patch.before:
        if digest == image.digest:
            continue
        then = _lock_of(project, digest)
        moved = {each.name for each in diff(then, new, _newer()).packages} if then else set()
        found |= dict.fromkeys(surprises(between(store.get(digest), image), moved, raised.paths))
    return list(found)


def _roll_out(
    project: Project, patch: Patch, image: Digest, notify: Notify, watch: Watch, progress: Progress
) -> Arrival:
    """Lead the groups of a patch to its image, each as it was last rolled out; the others stay where they are."""
    goals = [
        _patched(project, goal, image) if goal.group.name in patch.groups else goal for goal in recorded_goals(project)
    ]
    site = Site(project, goals, notify)
    site.prepare()
    forecast = site.survey()
    if not forecast.steps and not forecast.halted and site.is_led():
        return Arrival(changed=False)
    if failed := _rehearsed(site, goals, patch, progress):
        return Arrival(changed=False, failures=(failed,))
    progress(f"plan {forecast.id}: {prediction(forecast)}")
    return Arrival(changed=True, failures=tuple(site.lead(watch, forecast.id)))


def _rehearsed(site: Site, goals: Iterable[Goal], patch: Patch, progress: Progress) -> Failure | None:
    """Try the image with each group that is led to it and has no server of it yet, once; return the first failure."""
    inventory, journal = site.controller.look(), site.project.journal
    began = journal.last((BEGAN,))
    for goal in goals:
        name, generation = goal.group.name, goal.generation
        if name not in patch.groups or not goal.group.count or generation.image != patch.image:
            continue
        tried = journal.last((REHEARSED,), group=name)
        once = tried and began and tried.sequence > began.sequence and tried.data["image"] == generation.image
        if once or any(each.group == name and each.image == generation.image for each in inventory.servers):
            continue
        if failed := rehearse(site, goal, patch.id, progress):
            return failed
    return None


def _patched(project: Project, goal: Goal, image: Digest) -> Goal:
    """The goal with the other image, and with what it served in before as the way back."""
    if not goal.group.count or goal.generation.image == image:
        return goal
    generation = project.journal.generation(goal.group.name, image, goal.generation.config, keep=True)
    before = next(iter(served_before(project, goal.group.name, generation.number)), 0)
    return Goal(goal.group, generation, fallback(project, generation, before))


def _close(project: Project, patch: Patch, notify: Notify, progress: Progress) -> None:
    """Ask once more which servers are exposed; if none is, write the proof of it."""
    asked = still_exposed(project, patch.groups, patch.before, patch.fixes)
    if asked.gaps:
        raise Problem(
            f"the patch cannot be closed, as not everything can be seen: {'; '.join(asked.gaps)}",
            mend="mend that, and run `bluestone patch` again",
            left="the servers that can be seen are patched",
        )
    if asked.servers or asked.led:
        where = f"{len(asked.servers)} servers: {', '.join(asked.servers[:5])}" if asked.servers else "what would start"
        groups = f" (groups that are led to it: {', '.join(asked.led)})" if asked.led else ""
        raise Problem(
            f"the patch stays open, as this is exposed still: {where}{groups}",
            mend="old servers that are kept for a rollback go by themselves: run `bluestone patch` again then; "
            "`bluestone status` says if a group is paused, or went back to what it was",
        )
    file, proof = prove(project, patch, asked, __version__)
    longest = proof.from_verdict.max if proof.from_verdict else 0.0
    progress(f"proof: {file}")
    text = f"{_named(patch.fixes)}: the last of {len(proof.servers)} servers was gone after {longest:.1f} s"
    data: dict[str, Any] = {"patch": patch.id, "proof": str(file), "longest_s": longest}
    data |= {"before": list(patch.before), "image": patch.image, "fixes": [fix.key for fix in patch.fixes]}
    _record(project, notify, Entry(CLOSED, message=text, data=data))
    _retire(project, notify, patch, progress)


def _retire(project: Project, notify: Notify, patch: Patch, progress: Progress) -> None:
    """Remove the images that patches replaced, but for those to which groups would go back. Their bills and what was
    proved of them stay known."""
    replaced = {image for event in project.journal.select((CLOSED,)) for image in event.data["before"]}
    try:
        gone = retire(project, replaced - {patch.image})
    except Problem as problem:
        progress(f"exposed images are kept, as it cannot be seen what needs them: {problem.what}")
        return
    if gone:
        names = ", ".join(map(short, gone))
        text = f"{names}: exposed, no server runs on it, and no group would go back to it"
        _note(project, notify, patch, "patch.retired", text, images=" ".join(gone))


def _moves(old: Lock, wanted: Iterable[Fix]) -> Upgrade:
    """The pins that fixes need to move, of those that the lock has."""
    known = {name for package in old.every for name in (package.name, package.source)}
    names = {name for fix in wanted if fix.ecosystem == "deb" for name in fix.moves}
    return Upgrade(names=frozenset(names & known))


def _lacking(wanted: Iterable[Fix], held_by: Lock) -> tuple[Fix, ...]:
    """Fixes that a lock does not bring though it has the package."""
    held: dict[str, set[str]] = {}
    for each in held_by.packages:
        component = Component(
            "deb", each.name, each.version, "", "", "lock", source=each.source, source_version=each.source_version
        )
        for origin in origins(component):
            held.setdefault(origin.name, set()).add(origin.version)
    return tuple(
        fix
        for fix in wanted
        if fix.ecosystem == "deb" and not all(reached("deb", v, fix.fixed) for v in held.get(fix.package, ()))
    )


def _lock_of(project: Project, image: Digest) -> Lock | None:
    """The lock that an image was built by."""
    return stored.read(wiring.images(project).get(image).root.parent / LOCK)


def _newer() -> Callable[[str, str], bool]:
    from bluestone.patch.versions.debian import key

    return lambda one, other: key(one) > key(other)


def _named(found: Iterable[Fix]) -> str:
    names = [f"{fix.package} {fix.fixed}" for fix in found]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _note(project: Project, notify: Notify, patch: Patch, kind: str, text: str, **data: str) -> None:
    _record(project, notify, Entry(kind, message=text, data={"patch": patch.id, **data}))


def _record(project: Project, notify: Notify, entry: Entry) -> None:
    now = utc_now()
    project.journal.record(now, [entry])
    notify(now, entry)
